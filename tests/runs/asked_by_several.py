"""Operators that only tests know."""

from collections.abc import Sequence
from typing import Any

from limbeck.core.asking import Ask, Request
from limbeck.core.lineage import with_lineage


async def debate(row: dict[str, Any], ask: Ask, critic: Ask, *, words: int = 4) -> list[dict[str, Any]]:
    """One teacher answers, and another has the last word."""
    first = Request(text=str(row["prompt"]), max_tokens=words)
    said = await ask(first)
    second = Request(text=f"{row['prompt']} {said.text}", max_tokens=words)
    found = await critic(second)
    made = {"prompt": row["prompt"], "completion": found.text}
    asked = [(first, said), (second, found)]
    return [with_lineage(made, row_id=row["id"], parents=[row["id"]], operator="debate", asked=asked)]


async def gathered(rows: Sequence[dict[str, Any]], ask: Ask, *, rounds: int = 2) -> list[dict[str, Any]]:
    """A row a round, each asked about all that came before."""
    made: list[dict[str, Any]] = []
    for number in range(rounds):
        request = Request(text=" ".join([*(row["prompt"] for row in rows), str(len(made))]))
        reply = await ask(request)
        row = {"prompt": f"task {number}", "completion": reply.text}
        made.append(
            with_lineage(row, row_id=str(number), parents=[], operator="gathered", asked=[(request, reply)])
        )
    return made


async def broken(row: dict[str, Any], ask: Ask) -> list[dict[str, Any]]:
    """Needs a column that is not there."""
    return [{"completion": (await ask(Request(text=row["no_such_column"]))).text}]
