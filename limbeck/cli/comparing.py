"""`limbeck compare`: finished runs side by side, on the terminal or in a file."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.files import write_text
from limbeck.core.measures import MEASURES

_ARROWS = {"higher": " ↑", "lower": " ↓"}
_VERDICTS = ("better", "worse", "undecided")
_SIGNS = {"better": " ▲", "worse": " ▼"}
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class Cell:
    """A mean over seeds, its interval, and the difference to the baseline with its interval."""

    mean: str = ""
    interval: str = ""
    difference: str = ""
    verdict: str = ""


@dataclass(frozen=True)
class Grid:
    """The table in words: a column a group of runs, a line a measure."""

    corner: str
    columns: list[str]
    lines: list[tuple[str, list[Cell]]]
    notes: list[str]


def compare_command(
    folders: Sequence[Path], *, baseline: str | None, out: Path | None, as_json: bool
) -> None:
    """Compare, then print a table or JSON, or write a file whose ending says what it is.

    Raises:
        ConfigError: an ending that is none of .md, .html, .csv and .json, or see `compare_runs`.
        RunFolderError: see `compare_runs`.
    """
    if out is not None and out.suffix not in _WRITERS:
        raise ConfigError(
            Problem("--out", f"must end with {', '.join(_WRITERS)}, got {out}. Give the file another name.")
        )
    from limbeck.runs.commands.compare_runs import compare_runs

    compared = compare_runs(folders, baseline=baseline)
    if as_json:
        print(_json(compared), end="")
    elif out is None:
        _print(compared)
    if out is not None:
        write_text(out, _WRITERS[out.suffix](compared))
        if not as_json:
            print(out)


def grid(compared: Mapping[str, Any]) -> Grid:
    """The comparison in words."""
    groups = compared["groups"]
    plain: list[tuple[str, Callable[[Mapping[str, Any]], str]]] = [
        ("seeds", lambda group: f"{len(group['seeds'])} ({', '.join(map(str, group['seeds']))})"),
        ("parameters", lambda group: _whole(group["parameters"])),
        ("steps", lambda group: _whole(group["steps"])),
        ("tokens", lambda group: _whole(group["tokens"])),
        ("time in steps", lambda group: _duration(group["seconds"])),
    ]
    lines = [
        (
            MEASURES[name].label + _ARROWS.get(MEASURES[name].better, ""),
            [_cell(name, group["measures"].get(name), group["differences"].get(name)) for group in groups],
        )
        for name in compared["measures"]
    ]
    lines += [(title, [Cell(write(group)) for group in groups]) for title, write in plain]
    changes = [change for group in groups for change in group["differences"].values()]
    notes = ["In brackets: 95 % interval, Student's t over seeds; of a single seed, over rows."]
    if changes:
        alike = "row" if all(change["over"] == "rows" for change in changes) else "seed"
        notes.append(f"Δ: difference to {compared['baseline']}, paired by {alike}.")
        wins = [f"{sum(change['verdict'] == said for change in changes)} {said}" for said in _VERDICTS]
        counted = f"Comparisons at 95 %: {len(changes)}, of these {', '.join(wins)}"
        notes.append(
            f"▲ better, ▼ worse; no sign: undecided. {counted}; of 20 between equals, one decides by chance."
        )
    return Grid(
        f"{compared['data']['rows']:,} held-out rows",
        [group["name"] for group in groups],
        lines,
        notes + compared["notes"],
    )


def _cell(name: str, found: Mapping[str, Any] | None, change: Mapping[str, Any] | None) -> Cell:
    if found is None:
        return Cell()
    difference = ""
    if change is not None:
        bounds = _bounds(change, lambda value: f"{value:+.4f}")
        difference = f"Δ {change['mean']:+.4f}{bounds and f' {bounds}'}"
    digits = 1 if MEASURES[name].form == "score" or name == "length" else 3
    verdict = "" if change is None else change["verdict"]
    return Cell(
        f"{found['mean']:.{digits}f}",
        _bounds(found, lambda value: f"{value:.{digits}f}"),
        f"{difference}{_SIGNS.get(verdict, '')}",
        verdict,
    )


def _bounds(found: Mapping[str, Any], write: Callable[[float], str]) -> str:
    bounds = found["interval"]
    return "" if bounds is None else f"[{write(bounds[0])}, {write(bounds[1])}]"


def _print(compared: Mapping[str, Any]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    from limbeck.cli.consoles import plain_console

    said = grid(compared)
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(said.corner)
    for name in said.columns:
        table.add_column(Text(name), justify="right", overflow="fold")
    for title, cells in said.lines:
        texts = [
            "\n".join(part for part in (cell.mean, cell.interval, cell.difference) if part) for cell in cells
        ]
        table.add_row(title, *map(Text, texts))
    console = plain_console()
    console.print(table)
    console.print()
    for note in said.notes:
        console.print(Text(note, style="dim"))


def _json(compared: Mapping[str, Any]) -> str:
    return json.dumps(compared, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _markdown(compared: Mapping[str, Any]) -> str:
    said = grid(compared)
    rows = [[said.corner, *said.columns], ["---", *["---:"] * len(said.columns)]]
    for title, cells in said.lines:
        rows.append(
            [title, *(" ".join(filter(None, (cell.mean, cell.interval, cell.difference))) for cell in cells)]
        )
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {note}" for note in said.notes)]) + "\n"


def _csv(compared: Mapping[str, Any]) -> str:
    """A line for each group and measure: numbers as they are, for programs."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = ("run", "measure", "mean", "low", "high", "seeds", "difference", "low", "high", "pairs")
    writer.writerow([f"difference_{name}" if place in (7, 8) else name for place, name in enumerate(head)])
    for group in compared["groups"]:
        for name, found in group["measures"].items():
            change = group["differences"].get(name, {"mean": "", "interval": None, "n": ""})
            writer.writerow(
                [
                    *(group["name"], name, found["mean"], *(found["interval"] or ("", "")), found["n"]),
                    *(change["mean"], *(change["interval"] or ("", "")), change["n"]),
                ]
            )
        for name in ("parameters", "steps", "tokens", "seconds"):
            if group[name] is not None:
                seeds = len(group["seeds"])
                writer.writerow([group["name"], name, group[name], "", "", seeds, "", "", "", ""])
    return file.getvalue()


def _html(compared: Mapping[str, Any]) -> str:
    said = grid(compared)
    style = (Path(__file__).parents[1] / "report" / "page.css").read_text(encoding="utf-8")
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in (said.corner, *said.columns))
    body = "\n".join(
        f'<tr><th scope="row">{escape(title)}</th>{"".join(map(_html_cell, cells))}</tr>'
        for title, cells in said.lines
    )
    notes = "\n".join(f'<p class="soft">{escape(note)}</p>' for note in said.notes)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Comparison of runs</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>Comparison of runs</h1>\n<div class="wide compared"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>\n{notes}\n</main>\n</body>\n</html>\n"
    )


def _html_cell(cell: Cell) -> str:
    small = "".join(f"<small>{escape(part)}</small>" for part in (cell.interval, cell.difference) if part)
    tone = f' class="{cell.verdict}"' if cell.verdict in _SIGNS else ""
    return f"<td{tone}>{escape(cell.mean)}{small}</td>"


def _whole(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{seconds / _MINUTE:.1f} min" if seconds < _HOUR else f"{seconds / _HOUR:.2f} h"


_WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    ".md": _markdown,
    ".html": _html,
    ".csv": _csv,
    ".json": _json,
}
