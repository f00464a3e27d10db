"""Checks of a `compare` step: it names earlier evaluations, on the same rows, of what it shows."""

from collections.abc import Iterator, Sequence

from limbeck.core.errors import Problem
from limbeck.core.lookup import did_you_mean
from limbeck.core.measures import MEASURES
from limbeck.recipes.steps import Evaluate, Step
from limbeck.recipes.steps.compare import Compare

_FEWEST = 2
_NEED_TASK = {"task": ("python_syntax", "exact_match", "final_answer")} | dict.fromkeys(
    ("answer_agreement", "rationale_bleu"), ("final_answer",)
)


def comparison_problems(step: Compare, where: str, earlier: Sequence[Step]) -> Iterator[Problem]:
    """What is wrong between a compare step and the steps before it."""
    made = {other.out: other for other in earlier}
    outs = [other.out for other in earlier if isinstance(other, Evaluate)]
    found: list[Evaluate] = []
    for place, out in enumerate(step.evaluations):
        other = made.get(out)
        if isinstance(other, Evaluate):
            found.append(other)
        elif other is None:
            message = (
                f"unknown evaluation '{out}'.{did_you_mean(out, outs)} It must be made by an earlier step."
            )
            yield Problem(f"{where}.evaluations.{place}", message)
        else:
            message = f"must be an evaluation, got '{out}', which is made by the step `{other.kind}`."
            yield Problem(f"{where}.evaluations.{place}", message)
    rows = list(dict.fromkeys((other.rows, other.limit) for other in found))
    if len(rows) > 1:
        said = ", ".join(name if limit is None else f"{name}[:{limit}]" for name, limit in rows)
        yield Problem(f"{where}.evaluations", f"must be on the same held-out rows, got {said}.")
    for name in _shown(step):
        yield from _unmeasured(name, where, found)


def _shown(step: Compare) -> list[str]:
    words = [word for figure in step.figures for word in (figure.x, figure.y)]
    words += [word for test in step.tests for word in (test.x, test.y) if word is not None]
    return list(dict.fromkeys(word for word in words if word in MEASURES))


def _unmeasured(name: str, where: str, evaluations: Sequence[Evaluate]) -> Iterator[Problem]:
    """A measure must be there in two evaluations at least; where it is not, the model is left out."""
    metrics = [place[0] for place in MEASURES[name].places]
    tasks = _NEED_TASK.get(name)
    measured = [other for other in evaluations if any(metric in other.metrics for metric in metrics)]
    outs = ", ".join(other.out for other in evaluations)
    needed = f"{name} must be measured in at least two of {outs}"
    if len(measured) < _FEWEST:
        yield Problem(where, f"{needed}: add {' or '.join(metrics)} to metrics.")
    elif tasks is not None and sum(other.task in tasks for other in measured) < _FEWEST:
        yield Problem(where, f"{needed}: set task to {' or '.join(tasks)}.")
