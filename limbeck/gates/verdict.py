"""What a gate says of one row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACCEPTED = "accepted"
"""The reason of a row that passes, where there is nothing else to say."""

Row = Mapping[str, Any]


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
