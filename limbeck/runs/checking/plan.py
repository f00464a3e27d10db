"""What a run will do and need: computed from configurations and data alone, nothing is spent."""

import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from limbeck.core.errors import Problem, ResourceError
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps.step import path_of
from limbeck.runs.checking.planned import PlannedStep
from limbeck.runs.checking.rates import machine_rates
from limbeck.runs.checking.survey import survey
from limbeck.runs.steps import module_of
from limbeck.runs.steps.look import Survey

_SPARE = 0.05  # of the disk, left free


@dataclass(frozen=True)
class Plan:
    """A checked recipe in numbers.

    Attributes:
        name: of the recipe.
        steps: one each.
        disk: bytes that the run folder needs at most.
        free_disk: bytes that are free there.
        memory: bytes that the largest step needs, roughly.
        free_memory: bytes of the accelerator, or of the machine.
        device: where it runs.
        seconds: rough time; None when a step's is not known.
    """

    name: str
    steps: tuple[PlannedStep, ...]
    disk: int
    free_disk: int
    memory: int
    free_memory: int
    device: str
    seconds: float | None


def make_plan(
    recipe: Recipe,
    out: Path,
    tell: Callable[[str], None] = lambda text: None,
    *,
    done: Collection[int] = (),
) -> tuple[Plan, Survey]:
    """Check everything that can be checked cheaply, and say what the run needs.

    Args:
        recipe: to run.
        out: run folder.
        tell: told what is looked at.
        done: places of steps that lie finished in the run folder: they cost nothing.

    Raises:
        UserError: all that is wrong, in one go.
    """
    seen = survey(recipe, tell, run=out)
    rates = machine_rates()
    made = (module_of(step).plan(step, place, seen, rates) for place, step in enumerate(recipe.steps))
    steps = tuple(_finished(step) if step.place in done else step for step in made)
    device, free_memory = _device()
    free_disk = _free(out)
    known = [step.seconds for step in steps if step.seconds is not None]
    plan = Plan(
        name=recipe.name,
        steps=steps,
        disk=_disk_at_most(steps, recipe),
        free_disk=free_disk,
        memory=max((step.memory or 0 for step in steps), default=0),
        free_memory=free_memory,
        device=device,
        seconds=sum(known) if known else None,
    )
    if plan.disk > free_disk * (1 - _SPARE):
        largest = max(steps, key=lambda step: step.disk)
        seen.problems.note(
            ResourceError(
                Problem(
                    path_of(largest.place, recipe.steps[largest.place]),
                    f"disk must have {gigabytes(plan.disk)} free for this run, got {gigabytes(free_disk)} at "
                    f"{out}. Choose another disk with --out, a smaller student, or save_steps=null.",
                )
            )
        )
    seen.problems.refuse()
    return plan, seen


def device_memory() -> int:
    """Bytes that are free on the accelerator, or on the machine."""
    return _device()[1]


def gigabytes(size: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit in ("B", "kB") else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def _finished(step: PlannedStep) -> PlannedStep:
    """A step that lies there already."""
    return replace(step, memory=None, disk=0, seconds=0.0, is_done=True)


def _disk_at_most(steps: Sequence[PlannedStep], recipe: Recipe) -> int:
    """All artefacts, the copy of the last model, and what the most demanding step needs meanwhile."""
    kept = sum(step.disk for step in steps)
    made = [planned for step, planned in zip(recipe.steps, steps, strict=True) if step.makes == "model"]
    copy = made[-1].disk if made else 0
    return kept + copy + max((step.scratch for step in steps), default=0)


def _device() -> tuple[str, int]:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name(), int(torch.cuda.mem_get_info()[0])
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}", int(psutil.virtual_memory().available)


def _free(out: Path) -> int:
    place = out.absolute()
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free
