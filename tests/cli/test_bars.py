"""The bars of a terminal: one a step, with loss and speed."""

import io

from rich.console import Console

from limbeck.cli.bars import Bars
from limbeck.engine import StepReport
from limbeck.runs.progress import Lines, Stage


def report(step: int) -> StepReport:
    return StepReport(step, 4, 1.25, {"cross_entropy": 1.25}, 1e-3, 0.5, 100 * step, float(step), 2000.0)


def test_bars_name_the_step_the_loss_and_reused_steps():
    file = io.StringIO()
    with Bars(Console(file=file, force_terminal=True, width=120)) as bars:
        bars.reused(Stage(1, 2, "load", "rows"))
        bars.begun(Stage(2, 2, "train", "student"))
        bars.trained(Stage(2, 2, "train", "student"), report(2))
    drawn = file.getvalue()
    for text in ("1/2 load rows", "reused", "2/2 train student", "loss 1.2500", "2,000 tokens/s", " 50 %"):
        assert text in drawn


def test_lines_are_said_at_the_start_and_end_of_a_step_and_seldom_between():
    file = io.StringIO()
    lines, stage = Lines(file), Stage(2, 2, "train", "student")
    lines.begun(stage)
    for step in range(1, 5):
        lines.trained(stage, report(step))
    lines.finished(stage, 3.21)
    assert file.getvalue() == "step 2/2 train student ...\nstep 2/2 train student: done in 3.2 s\n"
