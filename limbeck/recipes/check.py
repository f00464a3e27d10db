"""Checks between the steps of a recipe: every word refers to something earlier, of the right kind."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from limbeck.core.errors import Problem
from limbeck.core.lookup import did_you_mean
from limbeck.core.model_words import place_of
from limbeck.recipes.model import Recipe
from limbeck.recipes.references import HELDOUT, Reference, What
from limbeck.recipes.steps import Step
from limbeck.recipes.steps.step import is_held_out, maker, path_of

_OUT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def check(recipe: Recipe) -> list[Problem]:
    """Everything that is wrong between the steps of a recipe, with paths; nothing when all is well."""
    if not recipe.steps:
        return [Problem("steps", "must have at least one step, got none.")]
    problems: list[Problem] = []
    for place, step in enumerate(recipe.steps):
        where, around = path_of(place, step), _Around(step, recipe.steps[:place], recipe.steps[place + 1 :])
        problems += (Problem(f"{where}.out", message) for message in _out_problems(around))
        for one in step.reads():
            wrong = _PROBLEMS[one.names.what](one, around) if one.names.what in _PROBLEMS else ()
            problems += (Problem(f"{where}.{one.path}", message) for message in wrong)
        problems += (problem.below(where) for problem in step.problems(around.earlier))
    return problems


@dataclass(frozen=True)
class _Around:
    """A step with those before and after it."""

    step: Step
    earlier: Sequence[Step]
    later: Sequence[Step]

    def earlier_of(self, out: str) -> Step | None:
        """The earlier step with this out."""
        return next((step for step in self.earlier if step.out == out), None)


def _out_problems(around: _Around) -> Iterator[str]:
    out = around.step.out
    if not _OUT.fullmatch(out):
        yield f"must be letters, digits, _ and -, got {out!r}. It names a folder."
    if around.earlier_of(out) is not None:
        yield f"must be unique, got '{out}', which an earlier step makes. Rename one."


def _rows_problems(reference: Reference, around: _Around) -> Iterator[str]:
    rows, (out, _, part) = reference.word, reference.word.partition(".")
    made = maker(rows, around.earlier, "rows")
    if made is None:
        yield _unknown_rows(rows, out, around)
        return
    source = around.earlier[made]
    if not reference.names.heldout and is_held_out(rows, around.earlier):
        what = "held-out rows" if part == HELDOUT else "made of held-out rows"
        instead = f"{out}.{reference.names.instead}" if part == HELDOUT else "rows made of others"
        yield f"must not be {what}, got '{rows}'. Take {instead}."
    field = source.emptied_by(part)
    if field is not None:
        yield f"has no rows, because {path_of(made, source)}.{field} is 0. Set it above 0, for example 0.05."


def _unknown_rows(rows: str, out: str, around: _Around) -> str:
    same = around.earlier_of(out)
    if same is not None and same.makes != "rows":
        return f"must be rows, got '{rows}', which is made by the step `{same.kind}`."
    if same is not None and len(same.words) == 1:
        return f"must be '{out}': rows of a step `{same.kind}` have no parts, got '{rows}'."
    if same is not None:
        *others, last = same.words
        return f"must be {', '.join(others)} or {last}, got '{rows}'."
    if any(step.out == out for step in around.later):
        return f"must be made by an earlier step, got '{rows}', which a later one makes. Move that step up."
    known = [word for step in around.earlier if step.makes == "rows" for word in step.words]
    return f"unknown rows '{rows}'.{did_you_mean(rows, known)}"


def _model_problems(reference: Reference, around: _Around) -> Iterator[str]:
    word = place_of(reference.word)
    same = around.earlier_of(word)
    if same is not None and same.makes != "model":
        yield f"must be a model, got '{word}', which is made by the step `{same.kind}`."
    elif same is None and any(step.out == word for step in (around.step, *around.later)):
        yield (
            f"must be a model of an earlier step, got '{word}', which is made by this or a later one. "
            f"Move that step up, or write ./{word} for a folder of that name."
        )


def _store_problems(reference: Reference, around: _Around) -> Iterator[str]:
    same = around.earlier_of(reference.word)
    if same is not None and same.makes != "store":
        yield f"must be a store, got '{reference.word}', which is made by the step `{same.kind}`."


def _evaluation_problems(reference: Reference, around: _Around) -> Iterator[str]:
    out = reference.word
    same = around.earlier_of(out)
    if same is None:
        known = [step.out for step in around.earlier if step.makes == "evaluation"]
        yield f"unknown evaluation '{out}'.{did_you_mean(out, known)} It must be made by an earlier step."
    elif same.makes != "evaluation":
        yield f"must be an evaluation, got '{out}', which is made by the step `{same.kind}`."


_PROBLEMS: Mapping[What, Callable[[Reference, _Around], Iterator[str]]] = {
    "rows": _rows_problems,
    "model": _model_problems,
    "store": _store_problems,
    "evaluation": _evaluation_problems,
}
"""What can be wrong with a word that names something in a recipe; tokenizers and data lie outside."""
