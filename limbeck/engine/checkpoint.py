"""The state of a training on disk: whole or absent, and enough to continue bit for bit."""

import json
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from limbeck.core.errors import RunFolderError
from limbeck.core.files import hash_file, json_checksum, read_mapping, sync_below, write_json
from limbeck.core.term import Term

_STATE, _FILES, _CHECKSUM = "training.json", "files", "checksum"

log = logging.getLogger("limbeck")


def save_checkpoint(accelerator: Accelerator, folder: Path, state: dict[str, Any]) -> None:
    """Save weights, optimizers and random numbers of all ranks, and `state`, as `folder`.

    The folder is filled beside its place and renamed, so a kill leaves the old checkpoint or
    the new one. Every file is known by its checksum.
    """
    filling = folder.with_name(f"{folder.name}.part")
    if accelerator.is_main_process:
        shutil.rmtree(filling, ignore_errors=True)
        filling.mkdir(parents=True)
    accelerator.wait_for_everyone()
    try:
        accelerator.save_state(str(filling), safe_serialization=False)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            values = {**state, _FILES: _checksums(filling)}
            write_json(filling / _STATE, {**values, _CHECKSUM: json_checksum(_plain(values))})
            sync_below(filling)
    except BaseException:
        shutil.rmtree(filling, ignore_errors=True)  # gives its room back
        raise
    if accelerator.is_main_process:
        old = folder.with_name(f"{folder.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        filling.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()


def load_checkpoint(
    accelerator: Accelerator, folder: Path, shape_of: Callable[[], dict[str, Any]]
) -> dict[str, Any] | None:
    """Restore everything that `save_checkpoint` saved; None when there is nothing to continue.

    A checkpoint whose `training.json` is missing or damaged was not finished: there is nothing to continue.

    Raises:
        RunFolderError: the checkpoint was made with other data or batch sizes (`shape_of()`, which is asked
            only where there is a checkpoint), or its files are missing or damaged.
    """
    old = folder.with_name(f"{folder.name}.old")
    if not folder.exists() and old.exists():  # killed between the two renames
        folder = old
    state = _state(folder)
    if state is None:
        return None
    shape = shape_of()
    if state["shape"] != shape:
        changed = [name for name, value in shape.items() if state["shape"].get(name) != value]
        here = ", ".join(f"{name} {shape[name]}" for name in changed)
        there = ", ".join(f"{name} {state['shape'].get(name)}" for name in changed)
        raise RunFolderError(
            f"the checkpoint {folder} must continue the same training, got {here} where it has "
            f"{there}. Train into another folder, or delete the checkpoint."
        )
    if accelerator.is_main_process:
        _check_files(folder, state[_FILES])
    accelerator.load_state(str(folder))
    return state


def _state(folder: Path) -> dict[str, Any] | None:
    values = read_mapping(folder / _STATE)
    if values is None or values.pop(_CHECKSUM, None) != json_checksum(values):
        if folder.exists():
            log.warning("%s: %s is missing or damaged: the training starts again", folder, _STATE)
        return None
    return values


def _check_files(folder: Path, checksums: dict[str, str]) -> None:
    there = _checksums(folder)
    damaged = [
        f"{name} ({'missing' if name not in there else 'changed'})"
        for name, value in checksums.items()
        if there.get(name) != value
    ]
    if damaged:
        raise RunFolderError(
            f"the checkpoint {folder} must hold the files it was saved with, got damage in "
            f"{', '.join(damaged)}. Put these files back, or delete the folder {folder}: the same command "
            "then trains this step again from its beginning."
        )


def _checksums(folder: Path) -> dict[str, str]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and file.name != _STATE]
    return {file.relative_to(folder).as_posix(): hash_file(file) for file in files}


def _plain(values: dict[str, Any]) -> Any:
    """As JSON gives them back: pairs are lists, keys are text."""
    return json.loads(json.dumps(values))


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
