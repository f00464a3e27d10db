"""A teacher whose answers are written down, that keeps what it answered and can be killed."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal
from typing import Any

from limbeck.core.asking import Reply, Request, Usage

Answers = Callable[[Request], "str | Reply | Exception"]


class Killed(BaseException):
    """The process ends here."""


class Scripted:
    """Answers by a function of the request, or in turn from a list.

    Attributes:
        asked: requests that reached the teacher, without those that were answered before.
        kept: answers by key; give it to another to go on after a kill.
    """

    def __init__(
        self,
        answers: Answers | Sequence[str | Reply | Exception],
        *,
        kept: dict[str, Reply] | None = None,
        dies_after: int | None = None,
        late: bool = False,
    ) -> None:
        self.answers = answers if callable(answers) else _in_turn(answers)
        self.kept = {} if kept is None else kept
        self.asked: list[Request] = []
        self.dies_after = dies_after
        self.late = late

    async def __call__(self, request: Request) -> Reply:
        key = hashlib.sha256(repr(sorted(asdict(request).items())).encode()).hexdigest()[:8]
        if key in self.kept:
            return replace(self.kept[key], from_cache=True)
        if self.dies_after is not None and len(self.asked) >= self.dies_after:
            raise Killed
        self.asked.append(request)
        for _ in range(int(key, 16) % 7 if self.late else 0):
            await asyncio.sleep(0)
        answer = self.answers(request)
        if isinstance(answer, Exception):
            raise answer
        reply = Reply(answer) if isinstance(answer, str) else answer
        self.kept[key] = replace(reply, key=key, usage=Usage(prompt=10, completion=2), cost=Decimal("0.001"))
        return self.kept[key]


def read_by(request: Request) -> str:
    """All that a request lets the teacher read, as one text."""
    return request.text or "\n".join(str(turn.get("content") or "") for turn in request.messages)


def student_part(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without its lineage and empty columns."""
    from limbeck.core.lineage import FIELDS

    left = {name: value for name, value in row.items() if name not in FIELDS or name == "reference"}
    return {name: value for name, value in left.items() if value is not None}


def reasons(rows: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Why each row was rejected; None: it was not."""
    import json

    verdicts = [json.loads(row.get("verdicts") or "[]") for row in rows]
    return [next((one["reason"] for one in found if not one["passed"]), None) for found in verdicts]


def _in_turn(answers: Sequence[str | Reply | Exception]) -> Answers:
    left = iter(answers)
    return lambda request: next(left)
