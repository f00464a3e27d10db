"""One module a kind of step, of its name: what it looks at, what it will cost, and its work."""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from limbeck.recipes.steps import Step

if TYPE_CHECKING:
    from limbeck.runs.checking.planned import PlannedStep
    from limbeck.runs.checking.rates import Rates
    from limbeck.runs.steps.context import StepContext, StepResult
    from limbeck.runs.steps.look import Look, Survey


class StepModule(Protocol):
    """What the module of a kind has; `step` is of that kind."""

    VERSION: int
    """Raised when the same step makes other things: what an earlier limbeck made is then made anew."""

    def look(self, at: "Look", step: Any) -> None:
        """Note what would stop the step, and what is known of what it makes, before anything is spent."""

    def plan(self, step: Any, place: int, seen: "Survey", rates: "Rates") -> "PlannedStep":
        """The step in numbers, as far as the look has shown them."""

    def run(self, step: Any, work: "StepContext") -> "StepResult":
        """Write what it makes into its folder; an interrupted one goes on."""


def module_of(step: Step) -> StepModule:
    """The module of a step's kind."""
    return cast(StepModule, import_module(f"{__name__}.{step.kind}"))
