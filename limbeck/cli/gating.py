"""`limbeck gate`: rows judged again, with the yield before and after."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from limbeck.cli.consoles import plain_console
from limbeck.cli.quiet import silence


def gate_command(
    place: Path,
    words: Sequence[str],
    *,
    keep: str,
    step: str | None,
    against: Sequence[str],
    out: Path | None,
    as_json: bool,
) -> None:
    """Judge, print both yields, and write what was asked for."""
    silence()
    from limbeck.runs.commands.gate import regate

    found = regate(place, words, keep=keep, step=step, against=against)
    if out is not None:
        found.write(out)
    if as_json:
        print(json.dumps({"before": found.before, "after": found.after}, indent=2, ensure_ascii=False))
        return
    console = plain_console()
    if found.before is not None:
        console.print(_table("before", found.before))
    console.print(_table("now", found.after))
    if out is not None:
        console.print(f"rows: {out}", soft_wrap=True, highlight=False)


def _table(when: str, found: Mapping[str, Any]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(f"{when}: {found['accepted']:,} of {found['candidates']:,} rows pass")
    for name in ("judged", "refused"):
        table.add_column(name, justify="right")
    table.add_column("reasons")
    for gate in found["gates"]:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in gate["reasons"].items())
        table.add_row(gate["gate"], f"{gate['judged']:,}", f"{gate['rejected']:,}", reasons)
    return table
