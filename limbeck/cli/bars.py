"""A bar for each step, with what matters while it works: loss, tokens a second, time to go."""

from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from limbeck.cli.tables import plan_table

if TYPE_CHECKING:
    from limbeck.engine import StepReport
    from limbeck.runs.plan import Plan
    from limbeck.runs.progress import Stage


class Bars:
    """Draws what a run tells (`runs.progress.Progress`)."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def planned(self, plan: "Plan") -> None:
        """The plan, above the bars."""
        self._console.print(plan_table(plan))

    def begun(self, stage: "Stage") -> None:
        """A new bar."""
        self._task = self._progress.add_task(_name(stage), total=1.0, note="")

    def reused(self, stage: "Stage") -> None:
        """A full bar that says so."""
        self._progress.add_task(_name(stage), total=1, completed=1, note="reused")

    def advanced(self, stage: "Stage", share: float, what: str = "") -> None:
        """Move the bar."""
        self._update(completed=share, note=what)

    def trained(self, stage: "Stage", report: "StepReport") -> None:
        """Move the bar, with loss and speed."""
        note = f"loss {report.loss:.4f}  {report.tokens_per_second:,.0f} tokens/s"
        self._update(completed=report.step / report.total_steps, note=note)

    def finished(self, stage: "Stage", seconds: float) -> None:
        """Fill the bar."""
        self._update(completed=1.0)

    def _update(self, **values: Any) -> None:
        if self._task is not None:
            self._progress.update(self._task, **values)


def _name(stage: "Stage") -> str:
    return f"{stage.number}/{stage.total} {stage.kind} {stage.out}"
