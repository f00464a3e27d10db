"""`select`: features of the rows, the selector's order, and as much of it as the budget holds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.core.files import write_json
from limbeck.core.kinds import kind_named, kinds_that
from limbeck.core.models import load_tokenizer
from limbeck.recipes.steps import Select
from limbeck.runs import ranks
from limbeck.runs.assembly.features import MADE, part_of
from limbeck.runs.assembly.features.columns import column, numbers_in, words_in
from limbeck.runs.assembly.features.given import Given
from limbeck.runs.assembly.features.losses import scoring, without_prompts
from limbeck.runs.assembly.features.texts import lengths_of, texts_in
from limbeck.runs.assembly.models import ModelInfo, located
from limbeck.runs.checking.model_infos import check_positions, kind_used
from limbeck.runs.checking.planned import (
    BACKWARD,
    FORWARD,
    PlannedStep,
    notes_of_step,
    read_bytes,
    read_seconds,
)
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey
from limbeck.selectors.pick import Pick

VERSION = 1
"""Raised when the same step makes other rows: what an earlier limbeck made is then made anew."""

SELECTION = "selection.json"
_SCORED = ("scores", "losses", "alone_losses", "gradients")
"""Features for which a model predicts the rows' targets."""


def run(step: Select, work: StepContext) -> StepResult:
    """Write `rows/`, in the order of the selector, and `selection.json` into the step's folder."""
    made = _select(step, work) if ranks.is_main() else StepResult()
    ranks.wait()
    return made


def _select(step: Select, work: StepContext) -> StepResult:
    given = Given(step, work, work.rows(step.rows))
    features = {name: MADE[name](given) for name in step.selector.features}
    sizes = lengths_of(given) if step.unit == "tokens" else np.ones(len(given.rows), dtype=np.int64)
    order = step.selector.entry.load()
    picks: list[Pick] = []
    for rows in _groups(given.rows, step):
        parts = [part_of(feature, rows) for feature in features.values()]
        found = order(*parts, **step.selector.options)
        budget = budget_of(step, int(sizes[rows].sum()), strict=step.within is None)
        picks += (pick._replace(row=rows[pick.row]) for pick in _within(found, sizes[rows], budget))
    if not picks:
        raise RowError(
            f"{step.selector.name} must take at least one row, got none of {len(given.rows):,}. "
            "Widen its settings, or raise the budget: the first row may be larger than it."
        )
    given.rows.select([pick.row for pick in picks]).save_to_disk(str(work.folder / "rows"))
    write_json(work.folder / SELECTION, _record(step, given.rows, picks, sizes))
    return StepResult(notes=tuple(_notes(step, len(given.rows), picks, sizes)))


def _groups(rows: Dataset, step: Select) -> list[list[int]]:
    """Rows that are chosen among together: those of one value of `within`, in the order they come in."""
    if step.within is None:
        return [list(range(len(rows)))]
    found: dict[str, list[int]] = {}
    for row, word in enumerate(words_in(rows, step.within, "within")):
        found.setdefault(word, []).append(row)
    return list(found.values())


def budget_of(step: Select, whole: int, *, strict: bool = True) -> int | None:
    """Rows or tokens that may be taken of so many; None: all.

    A share is rounded, and at least 1.

    Raises:
        ConfigError: more are asked for than there are, where that is `strict`.
    """
    if step.budget is None:
        return None
    if step.budget < 1:
        return max(1, round(step.budget * whole))
    if strict and step.budget > whole:
        raise ConfigError(
            Problem(
                "budget",
                f"must be at most {whole:,}, the {step.unit} of {step.rows}, got {step.budget:,.0f}.",
            )
        )
    return int(step.budget)


def _within(picks: Iterable[Pick], sizes: np.ndarray, budget: int | None) -> Iterator[Pick]:
    """The first picks that fit; the first one that does not fit ends them."""
    left = budget
    for pick in picks:
        if left is not None:
            left -= int(sizes[pick.row])
            if left < 0:
                return
        yield pick


def _record(step: Select, rows: Dataset, picks: Sequence[Pick], sizes: np.ndarray) -> dict[str, Any]:
    ids = rows["id"]
    return {
        "selector": step.selector.model_dump(mode="json"),
        "from": step.rows,
        "features": {name: _made_of(name, step) for name in step.selector.features},
        "candidates": len(rows),
        "selected": len(picks),
        "unit": step.unit,
        "candidate_size": int(sizes.sum()),
        "selected_size": int(sum(sizes[pick.row] for pick in picks)),
        "rows": [{"id": ids[pick.row], "score": pick.score} for pick in picks],
    }


def _made_of(feature: str, step: Select) -> str:
    if feature in ("scores", "groups") and getattr(step, feature) is not None:
        return f"column {getattr(step, feature)}"
    if feature in _SCORED:
        return f"{step.model}, up to {step.max_length} tokens a row"
    if feature == "vectors":
        by = f"means of the last hidden states of {step.model}" if step.model else "TF-IDF"
        return f"{by}, of {step.text}, without a template"
    if feature in ("texts", "lengths"):
        unit = "" if feature == "texts" else ", tokens" if step.tokenizer else ", characters"
        return f"{step.text}, without a template{unit}"
    return "rows"


def _notes(step: Select, count: int, picks: Sequence[Pick], sizes: np.ndarray) -> Iterator[str]:
    taken = int(sum(sizes[pick.row] for pick in picks))
    tokens = f", {taken:,} of {int(sizes.sum()):,} tokens" if step.unit == "tokens" else ""
    yield f"{len(picks):,} of {count:,} rows{tokens}."
    whole = int(sizes.sum())
    if step.within is None and step.unit == "rows" and step.budget is not None:
        asked = budget_of(step, whole)
        if asked is not None and taken < asked:
            yield f"{step.selector.name} gave no more than these; the budget was {asked:,}."


def look(at: Look, step: Select) -> None:
    """Refuse columns that are not there, models that cannot do what is asked, budgets above the rows."""
    features = step.selector.features
    if step.tokenizer is not None:
        with at.at("tokenizer"):
            load_tokenizer(located(step.tokenizer))
    shape = None if step.model is None else at.info(step.model, "model")
    scores = bool(set(features) & set(_SCORED))
    if shape is not None and scores and (problem := _kind_problem(step, shape)):
        at.seen.problems.note(ConfigError(problem), at.where)
        return
    if step.rows not in at.rows:
        return
    rows = at.rows[step.rows]
    with at.at():
        _look_at_columns(at, step, rows)
        if step.unit == "rows" and step.within is None:
            budget_of(step, len(rows))
    if shape is not None and scores:
        with at.at():
            _look_at_reading(at, step, rows, shape)


def _look_at_columns(at: Look, step: Select, rows: Dataset) -> None:
    features = step.selector.features
    checks: list[tuple[bool, Callable[[], object]]] = [
        ("scores" in features and step.scores is not None, lambda: numbers_in(rows, str(step.scores))),
        ("groups" in features, lambda: column(rows, str(step.groups), "groups")),
        (step.within is not None, lambda: column(rows, str(step.within), "within")),
        (
            bool({"texts", "lengths", "vectors"} & set(features)),
            lambda: texts_in(rows.select(range(min(len(rows), 8))), step),
        ),
        ("alone_losses" in features, lambda: without_prompts(rows.select(range(1)))),
        (
            step.tasks is not None and step.target in at.rows,
            lambda: column(at.rows[str(step.target)], str(step.tasks), "tasks"),
        ),
    ]
    for is_asked, check in checks:
        if is_asked:
            check()


def _kind_problem(step: Select, shape: ModelInfo) -> Problem | None:
    kind = None if shape.kind is None else kind_named(shape.kind)
    if kind is not None and kind.scores and not kind.draws:
        return None
    allowed = f"{kinds_that('writes')} or {kinds_that('has_classes')}"
    got = "one whose class does not say" if kind is None else kind.name
    return Problem(
        "model", f"must be {allowed} for {step.selector.name}, which has it score the rows, got {got}."
    )


def _look_at_reading(at: Look, step: Select, rows: Dataset, shape: ModelInfo) -> None:
    """Rows that a model is to score fit into it; how many tokens that are."""
    kind = kind_used("auto", shape)
    classes = at.classes_of(step.rows, [str(step.model)]) if kind_named(kind).has_classes else ()
    rendering = scoring(step, kind, classes)
    names = [step.rows, *([step.target] if step.target in at.rows else [])]
    lengths: list[int] = []
    for name in names:
        rendered = at.render(str(name), shape, rendering)
        check_positions(rendered, shape)
        lengths += [len(ids) for ids in rendered["input_ids"]]
    at.seen.entries[at.place] = (len(lengths), sum(lengths))


def plan(step: Select, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    rows = seen.rows.get(step.rows)
    known = rows is not None and step.unit == "rows" and step.within is None
    shape = None if step.model is None else seen.models.get(step.model)
    _, tokens = seen.entries.get(place, (0, 0))
    seconds = read_seconds(shape, tokens, step.max_length, rates) if tokens else None
    if seconds is not None and "gradients" in step.selector.features:
        epochs = 4 if step.warmup is None else step.warmup.epochs
        seconds *= epochs * (FORWARD + BACKWARD) / FORWARD
    return PlannedStep(
        place,
        step.kind,
        step.out,
        f"{step.selector.name} selects from {step.rows}",
        rows=budget_of(step, len(rows)) or len(rows) if known and rows is not None else None,
        teacher_parameters=None if shape is None else shape.parameters,
        tokens=tokens or None,
        memory=0 if step.model is None else read_bytes([step.model], seen),
        seconds=seconds,
        notes=notes_of_step(place, seen),
    )
