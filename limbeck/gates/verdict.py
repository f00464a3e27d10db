"""What a gate says of one row, and what gates may ask for beside rows."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from limbeck.core.lineage import VERDICTS

ACCEPTED = "accepted"
"""The reason of a row that passes, where there is nothing else to say."""

Row = Mapping[str, Any]

Classifier = Callable[[Sequence[tuple[str, str]]], Sequence[Mapping[str, float]]]
"""Pairs of texts -> for each, the probability of every class by its name."""

Scorer = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of prompt and answer -> mean cross-entropy of the answer's tokens in nats; NaN where it has none."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one gate on one row; the row itself stays as it is.

    Attributes:
        score: what was measured, in the gate's own unit; None where nothing is.
        passed: whether the gate lets the row through.
        reason: one word that reports count by.
        detail: text or plain data for who looks at the row: matched spans, an error, the two values compared.
    """

    score: float | None
    passed: bool
    reason: str = ACCEPTED
    detail: Any = ""

    def named(self, gate: str) -> dict[str, Any]:
        """As the column `verdicts` holds it."""
        return {
            "gate": gate,
            "score": self.score,
            "passed": self.passed,
            "reason": self.reason,
            "detail": self.detail,
        }


def with_verdicts(row: Row, new: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row with more verdicts behind those it had."""
    before = verdicts_of(row)
    return {**row, VERDICTS: json.dumps([*before, *new], ensure_ascii=False, default=str)}


def verdicts_of(row: Row) -> list[dict[str, Any]]:
    """What gates said of a row; nothing where none did."""
    return list(json.loads(row[VERDICTS])) if row.get(VERDICTS) else []
