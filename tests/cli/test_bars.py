"""The bars of a terminal: one a step, with loss and speed."""

import io
from dataclasses import replace

from rich.console import Console

from limbeck.cli.bars import Bars
from limbeck.engine import StepReport
from limbeck.runs.record.progress import Lines, StepPosition


def report(step: int) -> StepReport:
    return StepReport(step, 4, 1.25, {"cross_entropy": 1.25}, 1e-3, 0.5, 100 * step, float(step), 2000.0)


def test_bars_name_the_step_the_loss_and_reused_steps():
    file = io.StringIO()
    with Bars(Console(file=file, force_terminal=True, width=120)) as bars:
        bars.reused(StepPosition(0, 2, "load", "rows"))
        bars.begun(StepPosition(1, 2, "train", "student"))
        bars.trained(StepPosition(1, 2, "train", "student"), report(2))
    drawn = file.getvalue()
    for text in ("0 load rows", "reused", "1 train student", "loss 1.2500", "2,000 tok/s", " 50 %"):
        assert text in drawn


def test_bars_leave_room_for_an_interrupt_and_cut_nothing_at_80_columns():
    file = io.StringIO()
    stage = StepPosition(4, 5, "evaluate", "evaluation")
    with Bars(Console(file=file, width=80)) as bars:
        bars.begun(stage)
        bars.trained(stage, replace(report(2), tokens_per_second=123456.7))
    (line,) = [line for line in file.getvalue().splitlines() if line.strip()]
    assert len(line) <= 77  # ^C fits behind it: a broken line leaves the first bar standing
    assert line.startswith("4 evaluate evaluation ")
    assert "loss 1.2500 123,457 tok/s 0:00" in line


def test_a_reused_step_has_no_clock():
    file = io.StringIO()
    with Bars(Console(file=file, width=80)) as bars:
        bars.reused(StepPosition(0, 2, "load", "rows"))
    assert file.getvalue().rstrip().endswith("100 % reused")


def test_lines_are_said_at_the_start_and_end_of_a_step_and_seldom_between():
    file = io.StringIO()
    lines, stage = Lines(file), StepPosition(1, 2, "train", "student")
    lines.begun(stage)
    for step in range(1, 5):
        lines.trained(stage, report(step))
    lines.finished(stage, 3.21)
    assert file.getvalue() == "step 1 train student ...\nstep 1 train student: done in 3.2 s\n"


def test_brackets_and_colons_are_text():
    file = io.StringIO()
    with Bars(Console(file=file, force_terminal=True, width=120)) as bars:
        bars.begun(StepPosition(1, 2, "train", "[/b]"))
        bars.advanced(StepPosition(1, 2, "train", "[/b]"), 0.5, "[bold]reading[/x]")
    assert "1 train [/b]" in file.getvalue() and "[bold]reading[/x]" in file.getvalue()
