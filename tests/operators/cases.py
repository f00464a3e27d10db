"""One small use of every operator; the shared battery finds the operators without one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from limbeck import operators
from limbeck.core.asking import Reply, Request
from tests.operators.scripted import Answers


@dataclass(frozen=True)
class Case:
    """How an operator is tried.

    Attributes:
        row: that it is given; an operator of a pool is given `rows`.
        answers: of the teacher.
        options: of the operator.
        secret: words that only the teacher may read.
        asks: whether it asks at all.
    """

    row: Mapping[str, Any]
    answers: Answers
    options: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    secret: str | None = None
    asks: bool = True


def numbered_answers(request: Request) -> Reply:
    """Another answer to every sample."""
    return Reply(f"answer {request.sample}")


CASES: dict[str, Case] = {
    "answer": Case({"id": "a", "prompt": "p"}, numbered_answers, {"samples": 3}),
    "rationalise": Case(
        {"id": "a", "prompt": "p"},
        lambda request: f"Because {request.sample}.\nAnswer: {request.sample}",
        {"samples": 2, "sampling_temperature": 0.5},
        secret="step by step",
    ),
}


def operator(name: str) -> Callable[..., Any]:
    """An operator by its name."""
    return getattr(operators, name)
