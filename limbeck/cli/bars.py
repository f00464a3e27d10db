"""A bar for each step, with what matters while it works: loss, tokens a second, time to go."""

from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from limbeck.cli.plans import plan_table

if TYPE_CHECKING:
    from limbeck.engine import StepReport
    from limbeck.runs.checking.plan import Plan
    from limbeck.runs.record.progress import StepPosition

_NAME, _NOTE, _TIME = 28, 25, 15
_PERCENT, _GAPS = 5, 4
_SHORTEST, _LONGEST = 4, 24
# A terminal writes ^C where the cursor is. Where that breaks the line, the next drawing begins a line
# too low and leaves the first bar standing.
_SPARE = 3


class _Times(ProgressColumn):
    """Time since the step began, and time to go; nothing for a step that was reused."""

    def __init__(self) -> None:
        super().__init__(table_column=Column(width=_TIME, no_wrap=True))

    def render(self, task: Task) -> Text:
        """`3:05, 1:20 left`."""
        if task.fields["is_reused"] or task.elapsed is None:
            return Text("")
        left = None if task.finished else task.time_remaining
        passed = _clock(task.finished_time if task.finished else task.elapsed)
        return Text(passed if left is None else f"{passed}, {_clock(left)} left")


class Bars:
    """Draws what a run tells (`runs.record.progress.Progress`)."""

    def __init__(self, console: Console) -> None:
        self._console = console
        others = _NOTE + _TIME + _PERCENT + _GAPS + _SPARE
        bar = min(max(console.width - _NAME - others, _SHORTEST), _LONGEST)
        name = Column(width=min(_NAME, max(console.width - bar - others, 8)), no_wrap=True)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=name),
            BarColumn(bar_width=bar),
            TextColumn("{task.percentage:>3.0f} %", table_column=Column(width=_PERCENT, no_wrap=True)),
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(width=_NOTE, no_wrap=True)),
            _Times(),
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
        self._console.print(plan_table(plan, self._console))

    def begun(self, stage: "StepPosition") -> None:
        """A new bar."""
        self._task = self._progress.add_task(str(stage), total=1.0, note="", is_reused=False)

    def reused(self, stage: "StepPosition") -> None:
        """A full bar that says so."""
        self._progress.add_task(str(stage), total=1, completed=1, note="reused", is_reused=True)

    def advanced(self, stage: "StepPosition", share: float, what: str = "") -> None:
        """Move the bar."""
        self._update(completed=share, note=what)

    def trained(self, stage: "StepPosition", report: "StepReport") -> None:
        """Move the bar, with loss and speed."""
        note = f"loss {report.loss:.4f} {report.tokens_per_second:,.0f} tok/s"
        self._update(completed=report.step / report.total_steps, note=note)

    def finished(self, stage: "StepPosition", seconds: float) -> None:
        """Fill the bar."""
        self._update(completed=1.0)

    def _update(self, **values: Any) -> None:
        if self._task is not None:
            self._progress.update(self._task, **values)


def _clock(seconds: float | None) -> str:
    """`3:05`, or `1:02:03` from an hour on."""
    minutes, rest = divmod(round(seconds or 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
