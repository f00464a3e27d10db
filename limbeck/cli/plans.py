"""How a plan is printed: a line of numbers for each step, and under it what the step does."""

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from limbeck.cli.amounts import count, duration, size_of

if TYPE_CHECKING:
    from limbeck.runs.checking.plan import Plan
    from limbeck.runs.checking.planned import PlannedStep

_TITLES = ("parameters", "steps", "tokens", "disk", "time")
_GAP, _INDENT = "  ", "    "


def plan_table(plan: "Plan", console: Console) -> RenderableType:
    """The steps of a plan, no wider than the console; words are never cut."""
    cells = [_cells(step) for step in plan.steps]
    widths = [max(map(len, column)) for column in zip(_TITLES, *cells, strict=True)]
    names = [f"{step.place} {step.kind} {step.out}" for step in plan.steps]
    room = console.width - sum(widths) - len(_GAP) * len(widths)
    width = min(max(map(len, [f"plan of {plan.name}", *names])), max(room, 24))
    lines = [Text(_row(f"plan of {plan.name}", width, _TITLES, widths), style="bold")]
    for name, step, numbers in zip(names, plan.steps, cells, strict=True):
        lines.append(Text(_row(name, width, numbers, widths), no_wrap=True, overflow="ignore"))
        lines += [Text(line, style="dim", overflow="fold") for line in _said(step, console.width)]
    return Group(*lines)


def plan_totals(plan: "Plan") -> Text:
    """What the whole run needs, and what there is."""
    time = duration(plan.seconds) or "an unknown time"
    return Text(
        f"\nneeds {size_of(plan.disk) or 'no'} disk at most ({size_of(plan.free_disk)} free), "
        f"{size_of(plan.memory) or 'little'} memory ({size_of(plan.free_memory)} free on {plan.device}), "
        f"about {time} if nothing else runs here; memory and time are rough estimates.\n"
        "Dry run: nothing was executed."
    )


def _cells(step: "PlannedStep") -> tuple[str, ...]:
    return (
        count(step.parameters),
        "" if step.optimizer_steps is None else f"{step.optimizer_steps:,}",
        count(step.tokens),
        size_of(step.disk),
        "done" if step.is_done else duration(step.seconds or None),
    )


def _row(name: str, width: int, cells: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (f"{cell:>{room}}" for cell, room in zip(cells, widths, strict=True))
    return _GAP.join([f"{name:<{width}}", *numbers]).rstrip()


def _said(step: "PlannedStep", width: int) -> list[str]:
    taught = f"; teacher of {count(step.teacher_parameters)} parameters" if step.teacher_parameters else ""
    return [
        line
        for words in (f"{step.what}{taught}", *step.notes)
        for line in textwrap.wrap(
            words,
            width,
            initial_indent=_INDENT,
            subsequent_indent=_INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )
    ]
