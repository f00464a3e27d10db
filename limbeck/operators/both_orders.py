"""Two answers of a row, asked about in both orders."""

from limbeck.core.asking import Reply, Request
from limbeck.core.errors import RowError
from limbeck.core.lineage import ID, Row
from limbeck.core.prompting import Drawing, Prompt
from limbeck.core.prompting.own import said
from limbeck.operators.talk import Talk

SWAPPED = {"a": "b", "b": "a", "tie": "tie"}
"""A verdict -> the same where the answers have changed places."""

Answers = tuple[str, str]


def answers_of(row: Row, first: str, second: str) -> Answers:
    """The texts of two columns.

    Raises:
        RowError: one of them has no answer.
    """
    lost = next((name for name in (first, second) if not row.get(name)), None)
    if lost is not None:
        raise RowError(f"row {row[ID]}: must have an answer in {lost}, got none. Set first and second.")
    return said(row[first]), said(row[second])


async def in_both_orders(
    talk: Talk, prompt: Prompt, row: Row, drawing: Drawing, answers: Answers
) -> list[tuple[Request, Reply]]:
    """What was asked and said with the first answer first, and with the second one first."""
    orders = (answers, answers[::-1])
    requests = [
        prompt.request(row, drawing, values={"answer_a": one, "answer_b": other}) for one, other in orders
    ]
    return list(zip(requests, await talk.all(requests), strict=True))
