"""The state of a training on disk: whole or absent, and enough to continue bit for bit."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from limbeck.core.errors import RunFolderError
from limbeck.core.files import read_json, write_json
from limbeck.core.term import Term

_STATE = "training.json"


def save_checkpoint(accelerator: Accelerator, folder: Path, state: dict[str, Any]) -> None:
    """Save weights, optimizers and random numbers of all ranks, and `state`, as `folder`.

    The folder is filled beside its place and renamed, so a kill leaves the old checkpoint or
    the new one.
    """
    filling = folder.with_name(f"{folder.name}.part")
    if accelerator.is_main_process:
        shutil.rmtree(filling, ignore_errors=True)
        filling.mkdir(parents=True)
    accelerator.wait_for_everyone()
    accelerator.save_state(str(filling), safe_serialization=False)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        write_json(filling / _STATE, state)
        old = folder.with_name(f"{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        filling.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()


def load_checkpoint(accelerator: Accelerator, folder: Path, shape: dict[str, int]) -> dict[str, Any] | None:
    """Restore everything that `save_checkpoint` saved; None when there is nothing to continue.

    Raises:
        RunFolderError: the checkpoint was made with other data or batch sizes (`shape`).
    """
    old = folder.with_name(f"{folder.name}.old")
    if not folder.exists() and old.exists():  # killed between the two renames
        folder = old
    if not (folder / _STATE).exists():
        return None
    state: dict[str, Any] = read_json(folder / _STATE)
    if state["shape"] != shape:
        raise RunFolderError(
            f"the checkpoint {folder} must continue the same training, got {shape} where it has "
            f"{state['shape']}. Train into another folder, or delete the checkpoint."
        )
    accelerator.load_state(str(folder))
    return state


def schedule_states(terms: Sequence[Term]) -> dict[str, dict[str, Any]]:
    """State of every schedule of the terms, by term and hyperparameter."""
    return {
        term.name: {name: schedule.state_dict() for name, schedule in term.schedules.items()}
        for term in terms
    }


def load_schedule_states(terms: Sequence[Term], states: dict[str, dict[str, Any]]) -> None:
    """Give the schedules back what `schedule_states` took."""
    for term in terms:
        for name, schedule in term.schedules.items():
            schedule.load_state_dict(states[term.name][name])
