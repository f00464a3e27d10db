"""Columns of a row that a teacher made: what it comes from, what was asked, and what the answers cost."""

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from limbeck.core.asking import Reply, Request

Row = Mapping[str, Any]

ID = "id"
PARENTS = "parents"
"""Ids of the rows it was made from, a list of texts."""
OPERATOR = "operator"
TEACHER = "teacher"
"""Name of the teacher that was asked; the step that asks knows it, an operator does not."""
SAMPLE = "sample"
"""Which draw of the same question, from 0."""
ASKED = "asked"
"""JSON: the last request as it was sent, under `messages`, `text` or `token_ids`. It is the teacher's prompt,
and may say what the student never reads."""
REQUESTS = "requests"
"""Keys of all requests that made the row, in order, a list of texts."""
REASONING = "reasoning"
"""Thoughts of the last answer; null: none were told."""
FINISHED = "finished"
"""Whether the answer ended by itself."""
TOKENS_IN = "tokens_in"
TOKENS_OUT = "tokens_out"
COST = "cost"
"""Text of a decimal number, what the answers cost when they were bought; null: no price is known. Rows that
share an answer say its cost each, so costs are added up over requests, not over rows."""
REFERENCE = "reference"
"""The answer that the row had before its teacher's, which gates compare with; null: it had none."""
TERMS = "terms"
"""Whether the teacher's answers may train other models, in its owner's words."""
VERDICTS = "verdicts"
"""JSON: a list of {gate, score, passed, reason, detail}; of an unreadable reply also {reply, key}."""

FIELDS: Mapping[str, pa.DataType] = {
    ID: pa.string(),
    PARENTS: pa.list_(pa.string()),
    OPERATOR: pa.string(),
    TEACHER: pa.string(),
    SAMPLE: pa.int64(),
    ASKED: pa.string(),
    REQUESTS: pa.list_(pa.string()),
    REASONING: pa.string(),
    FINISHED: pa.bool_(),
    TOKENS_IN: pa.int64(),
    TOKENS_OUT: pa.int64(),
    COST: pa.string(),
    REFERENCE: pa.string(),
    TERMS: pa.string(),
    VERDICTS: pa.string(),
}
"""Every column with its Arrow type. All are optional for readers; a writer gives a column the same type in
every file, whatever its rows hold."""


def is_finished(row: Row) -> bool:
    """False for an answer that its writer was stopped in: its end is not taught.

    Null says nothing: rows that nobody generated have it where they are mixed with others.
    """
    return row.get(FINISHED) is not False


def with_lineage(
    row: Row,
    *,
    row_id: str,
    parents: Sequence[str],
    operator: str,
    asked: Sequence[tuple[Request, Reply]],
    sample: int = 0,
) -> dict[str, Any]:
    """A row as the student reads it, with the columns that say how it was made.

    Args:
        row: columns of a kind of row; it is not changed.
        row_id: unique among the rows that are made together.
        parents: ids of the rows it was made from.
        operator: that made it.
        asked: all requests with their replies, in order; the row holds the last one's answer.
        sample: which draw of the same question, from 0.

    Returns:
        The row with `FIELDS`, without `teacher`, `terms`, `reference` and `verdicts`: those who know them
        add them.
    """
    last = asked[-1] if asked else None
    return {
        **row,
        ID: row_id,
        PARENTS: list(parents),
        OPERATOR: operator,
        SAMPLE: sample,
        ASKED: as_sent(last[0]) if last else None,
        REQUESTS: [reply.key for _, reply in asked],
        REASONING: last[1].reasoning if last else None,
        FINISHED: last[1].stopped if last else True,
        TOKENS_IN: sum(reply.usage.prompt for _, reply in asked),
        TOKENS_OUT: sum(reply.usage.completion for _, reply in asked),
        COST: _cost([reply.cost for _, reply in asked]),
    }


def rejected(row: Row, by: str, reason: str, detail: str = "", **told: str) -> dict[str, Any]:
    """A row that is not learnt from: kept apart, with the reason as its verdict.

    Args:
        row: with its lineage; where no answer could be read, it has none.
        by: the operator or gate that rejects it.
        reason: one word that reports count by.
        detail: a sentence.
        told: what else helps to see why, such as `reply`, which could not be read.
    """
    verdict = {"gate": by, "score": None, "passed": False, "reason": reason, "detail": detail, **told}
    return {**row, VERDICTS: json.dumps([verdict], ensure_ascii=False)}


def is_rejected(row: Row) -> bool:
    """Whether a verdict on the row is not passed."""
    return not all(verdict["passed"] for verdict in json.loads(row.get(VERDICTS) or "[]"))


def as_sent(request: Request) -> str:
    """JSON of what a request lets the teacher read."""
    if request.text is not None:
        return json.dumps({"text": request.text}, ensure_ascii=False)
    if request.token_ids is not None:
        return json.dumps({"token_ids": request.token_ids})
    read = {"messages": request.messages, **({"tools": request.tools} if request.tools else {})}
    return json.dumps(read, ensure_ascii=False)


def _cost(costs: Sequence[Decimal | None]) -> str | None:
    """The sum as text; None where one price is not known."""
    known = [cost for cost in costs if cost is not None]
    return str(sum(known, Decimal(0))) if len(known) == len(costs) else None
