"""Checks between the steps of a recipe: every word refers to something earlier, of the right kind."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import Problem
from limbeck.core.lookup import did_you_mean
from limbeck.core.model_words import place_of
from limbeck.recipes.check_comparison import comparison_problems
from limbeck.recipes.check_ensembles import ensemble_problems
from limbeck.recipes.check_stores import store_problems
from limbeck.recipes.check_training import needs_teacher_beside, training_problems
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Build, Capture, Evaluate, Generate, Load, Step, Train
from limbeck.recipes.steps.compare import Compare

PARTS = ("train", "validation", "heldout")
_OUT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_NEED_TEACHER = frozenset({"fidelity"})


def check(recipe: Recipe) -> list[Problem]:
    """Everything that is wrong between the steps of a recipe, with paths; nothing when all is well."""
    if not recipe.steps:
        return [Problem("steps", "must have at least one step, got none.")]
    problems: list[Problem] = []
    for place, step in enumerate(recipe.steps):
        where = f"steps.{place}.{step.kind}"
        earlier, later = recipe.steps[:place], recipe.steps[place + 1 :]
        problems += _out_problems(step, where, earlier)
        problems += _rows_problems(step, where, earlier, later)
        problems += _model_problems(step, where, earlier, later)
        problems += _noise_problems(step, where)
        problems += store_problems(step, where, earlier)
        problems += ensemble_problems(step, where, measured_task(step, earlier))
        if isinstance(step, Train):
            problems += _objective_problems(step, where)
            problems += training_problems(step, where)
        if isinstance(step, Evaluate):
            problems += _metric_problems(step, where)
        if isinstance(step, Compare):
            problems += comparison_problems(step, where, earlier)
    return problems


def path_of(place: int, step: Step) -> str:
    """Where a step is, as messages say it."""
    return f"steps.{place}.{step.kind}"


def models_of(step: Step) -> dict[str, str]:
    """The models a step names: path inside the step -> folder, id or out."""
    found: dict[str, str] = {}
    if isinstance(step, Build | Train):
        found[f"student.{step.student.form}"] = step.student.origin
    if isinstance(step, Generate | Capture | Train | Evaluate) and step.teacher:
        found |= {f"teacher.{path}": word for path, word in step.teacher.models.items()}
    if isinstance(step, Train) and step.selection is not None and step.selection.other is not None:
        others = step.selection.other.models
        found |= {f"selection.other.{path}": word for path, word in others.items()}
    if isinstance(step, Train) and step.watch is not None:
        found |= {f"watch.distances.{name}": word for name, word in step.watch.distances.items()}
    if isinstance(step, Evaluate):
        found["model"] = step.model
        if step.baseline is not None:
            found["baseline"] = step.baseline
    return found


def rows_of(step: Step) -> dict[str, str]:
    """The rows a step names: path inside the step -> `rows.train`, `written`."""
    found = {"rows": step.rows} if isinstance(step, Generate | Capture | Train | Evaluate) else {}
    if isinstance(step, Build) and step.rows is not None:
        found["rows"] = step.rows
    if isinstance(step, Train) and step.corpus is not None:
        found["corpus"] = step.corpus
    if isinstance(step, Train) and step.watch is not None:
        found["watch.rows"] = step.watch.rows
    return found


def maker(word: str, steps: Sequence[Step]) -> int | None:
    """The place of the step whose model `word` is; None when it is a folder or an id."""
    places = [
        place
        for place, step in enumerate(steps)
        if isinstance(step, Build | Train) and step.out == place_of(word)
    ]
    return places[-1] if places else None


def rows_maker(rows: str, steps: Sequence[Step]) -> int | None:
    """The place of the step that makes the rows `rows.train` or `written`."""
    out, _, part = rows.partition(".")
    for place, step in enumerate(steps):
        if step.out == out and (
            (isinstance(step, Load) and part in PARTS) or (isinstance(step, Generate) and not part)
        ):
            return place
    return None


def store_maker(word: str, steps: Sequence[Step]) -> int | None:
    """The place of the step whose store `word` is; None when it is a folder."""
    places = [place for place, one in enumerate(steps) if isinstance(one, Capture) and one.out == word]
    return places[-1] if places else None


def reads_teacher(step: Train) -> tuple[str, ...]:
    """Names of the objectives of a step that read the teacher."""
    signals = {term.name: term.signals for term in step.objective}
    return tuple(name for name, read in signals.items() if any(word.startswith("teacher_") for word in read))


def measured_task(step: Step, earlier: Sequence[Step]) -> Literal["default", "two_task"]:
    """How held-out rows are put to an evaluated model: as its training put them.

    Of a preference the chosen answer is measured, with or without the rejected one in the rows.
    """
    made = maker(step.model, earlier) if isinstance(step, Evaluate) else None
    trained = None if made is None else earlier[made]
    return "two_task" if isinstance(trained, Train) and trained.task == "two_task" else "default"


def _out_problems(step: Step, where: str, earlier: Sequence[Step]) -> Iterator[Problem]:
    if not _OUT.fullmatch(step.out):
        yield Problem(
            f"{where}.out", f"must be letters, digits, _ and -, got {step.out!r}. It names a folder."
        )
    if any(step.out == other.out for other in earlier):
        yield Problem(
            f"{where}.out", f"must be unique, got '{step.out}', which an earlier step makes. Rename one."
        )


def _rows_problems(
    step: Step, where: str, earlier: Sequence[Step], later: Sequence[Step]
) -> Iterator[Problem]:
    if isinstance(step, Build | Train):
        yield from _pruning_problems(step, where)
    for inner, rows in rows_of(step).items():
        path, (out, _, part) = f"{where}.{inner}", rows.partition(".")
        made = rows_maker(rows, earlier)
        if made is None:
            yield Problem(path, _unknown_rows(rows, out, earlier, later))
            continue
        source = earlier[made]
        if part == "heldout" and not isinstance(step, Evaluate):
            yield Problem(path, f"must not be held-out rows, got '{rows}'. Take {out}.{_instead(inner)}.")
        if isinstance(source, Load) and part in ("heldout", "validation") and not getattr(source, part):
            yield Problem(
                path, f"has no rows, because steps.{made}.load.{part} is 0. Set it above 0, for example 0.05."
            )


def _instead(inner: str) -> str:
    return "validation" if inner == "watch.rows" else "train"


def _pruning_problems(step: Build | Train, where: str) -> Iterator[Problem]:
    prunes = step.student.prune is not None
    if isinstance(step, Train):
        if prunes:
            yield Problem(
                f"{where}.student",
                f"must be model, cut or fresh in a train step, got prune: {step.student.prune}. Prune in a "
                "step `build` before it, and name that step's out here.",
            )
    elif prunes and step.rows is None:
        yield Problem(f"{where}.rows", "must name rows to prune by, got none. For example rows: rows.train.")
    elif not prunes and step.rows is not None:
        yield Problem(
            f"{where}.rows",
            f"is read only to prune, got '{step.rows}' with {step.student.form}. Leave it out.",
        )


def _unknown_rows(rows: str, out: str, earlier: Sequence[Step], later: Sequence[Step]) -> str:
    same = next((step for step in earlier if step.out == out), None)
    if isinstance(same, Load):
        return f"must be {out}.train, {out}.validation or {out}.heldout, got '{rows}'."
    if isinstance(same, Generate):
        return f"must be '{out}': rows that a teacher wrote have no parts, got '{rows}'."
    if same is not None:
        return f"must be rows, got '{rows}', which is made by the step `{same.kind}`."
    if any(step.out == out for step in later):
        return f"must be made by an earlier step, got '{rows}', which a later one makes. Move that step up."
    known = [f"{step.out}.{part}" for step in earlier if isinstance(step, Load) for part in PARTS]
    known += [step.out for step in earlier if isinstance(step, Generate)]
    return f"unknown rows '{rows}'.{did_you_mean(rows, known)}"


def _model_problems(
    step: Step, where: str, earlier: Sequence[Step], later: Sequence[Step]
) -> Iterator[Problem]:
    for inner, named in models_of(step).items():
        word = place_of(named)
        same = next((other for other in earlier if other.out == word), None)
        if same is not None and not isinstance(same, Build | Train):
            yield Problem(
                f"{where}.{inner}", f"must be a model, got '{word}', which is made by the step `{same.kind}`."
            )
        elif same is None and any(other.out == word for other in (step, *later)):
            yield Problem(
                f"{where}.{inner}",
                f"must be a model of an earlier step, got '{word}', which is made by this or a later one. "
                f"Move that step up, or write ./{word} for a folder of that name.",
            )
    if isinstance(step, Evaluate) and step.baseline is not None and step.baseline == step.model:
        yield Problem(
            f"{where}.baseline", f"must be another model than `model`, got '{step.baseline}' twice."
        )


def _noise_problems(step: Step, where: str) -> Iterator[Problem]:
    if isinstance(step, Generate | Evaluate) and step.teacher is not None and step.teacher.noise:
        yield Problem(
            f"{where}.teacher.noise",
            f"must be 0 outside of train steps, got {step.teacher.noise:g}. Leave it out here.",
        )


def _objective_problems(step: Train, where: str) -> Iterator[Problem]:
    readers = {
        place: [word for word in term.signals if word.startswith("teacher_")]
        for place, term in enumerate(step.objective)
    }
    if step.teacher is None:
        for place, signals in readers.items():
            if signals:
                yield Problem(
                    f"{where}.objective.{place}",
                    f"objective {step.objective[place].name} reads {' and '.join(signals)}: "
                    "give the step a teacher.",
                )
    elif not any(readers.values()) and not needs_teacher_beside(step):
        names = ", ".join(term.name for term in step.objective)
        reading = [
            name
            for name, entry in catalogue("objectives").items()
            if any(word.startswith("teacher_") for word in entry.positional)
        ]
        yield Problem(
            f"{where}.teacher",
            f"is read by no objective (got {names}): leave the teacher out, or add one that reads it: "
            f"{', '.join(reading)}.",
        )


def _metric_problems(step: Evaluate, where: str) -> Iterator[Problem]:
    if step.teacher is None:
        for place, metric in enumerate(step.metrics):
            if metric in _NEED_TEACHER:
                yield Problem(
                    f"{where}.metrics.{place}", f"{metric} compares with a teacher: give the step a teacher."
                )
    if step.task is not None and "generation" not in step.metrics:
        yield Problem(
            f"{where}.task", f"judges completions: add generation to metrics, got {', '.join(step.metrics)}."
        )
