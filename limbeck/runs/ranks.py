"""Several processes, one run: the main one writes and prints, the others wait for it."""

import os
from datetime import timedelta

import torch
from accelerate import PartialState

from limbeck.core.errors import ConfigError, LimbeckError

_HOURS_SET, _HOURS = "LIMBECK_RANK_HOURS", 12.0
_MOST_HOURS = 10_000.0


def is_main() -> bool:
    """Whether this process writes artefacts and prints; true where there is only one."""
    return bool(state().is_main_process)


def count() -> int:
    """Number of processes (`accelerate launch`, `torchrun`)."""
    return int(state().num_processes)


def place() -> int:
    """Number of this process, counted from 0."""
    return int(state().process_index)


def wait() -> None:
    """Until every process is here.

    Raises:
        LimbeckError: another one died, or did not come in the time that is allowed.
    """
    try:
        state().wait_for_everyone()
    except RuntimeError as error:
        why = str(error).strip().split("\n")[0]
        raise LimbeckError(
            f"all ranks must meet within {_patience().total_seconds() / 3600:g} hours, got one that did not "
            f"come ({why}). Look at what the others said; {_HOURS_SET} allows for longer work of one rank."
        ) from error


def device() -> torch.device:
    """Of this process."""
    place: torch.device = state().device
    return place


def state() -> PartialState:
    """accelerate's view of the processes, joined at the first call."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    on_cpu = several and not torch.accelerator.is_available()
    if on_cpu:
        # Without it, accelerate takes processes without accelerators for unrelated ones.
        os.environ["ACCELERATE_USE_CPU"] = "true"
    return PartialState(cpu=on_cpu, timeout=_patience()) if several else PartialState(cpu=on_cpu)


def _patience() -> timedelta:
    """How long a rank waits for the others: what the first one does alone takes hours at most.

    torch's own limits, 10 minutes on GPUs and 30 on CPUs, are shorter than an evaluation may be.
    """
    text = os.environ.get(_HOURS_SET, "")
    try:
        hours = float(text) if text else _HOURS
    except ValueError:
        hours = 0.0
    if not 0 < hours < _MOST_HOURS:
        raise ConfigError(
            f"{_HOURS_SET} must be a number of hours above 0, got {text}. Leave it out for {_HOURS:g}."
        )
    return timedelta(hours=hours)
