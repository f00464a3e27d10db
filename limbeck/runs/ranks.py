"""Several processes, one run: the main one writes and prints, the others wait for it."""

import os

import torch
from accelerate import PartialState


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
    """Until every process is here."""
    state().wait_for_everyone()


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
    return PartialState(cpu=on_cpu)
