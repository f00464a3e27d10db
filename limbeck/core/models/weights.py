"""The files that hold a model's weights, by their headers: whole, readable and safe, before they are read."""

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from limbeck.core.errors import ModelError
from limbeck.core.models.places import first_line

# In the order in which transformers looks for them: one file, or an index of several.
_KINDS = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
_ANY = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.h5", "*.msgpack", "*.gguf")
_NAMED = 3


def check_files(folder: Path) -> None:
    """Refuse a folder whose weights are missing, cut off, unsafe, or not what their index says.

    Raises:
        ModelError: the first file that is wrong, by its name.
    """
    for single, index in _KINDS:
        if (folder / single).is_file():
            _names_in(folder / single)
            return
        if (folder / index).is_file():
            _check_index(folder / index)
            return
    raise ModelError(
        f"model must have weights in model.safetensors, got {folder} without.{_elsewhere(folder)}"
    )


def _elsewhere(folder: Path) -> str:
    found = sorted(file.relative_to(folder).as_posix() for kind in _ANY for file in folder.rglob(kind))
    if not found:
        return " It holds no other weights either: was the copy complete?"
    listed = ", ".join(found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
    return f" There is: {listed}. Name the folder that holds them, or give them that name."


def _check_index(index: Path) -> None:
    folder = index.parent
    try:
        where = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        shards = {
            str(file): {name for name, other in where.items() if other == file} for file in where.values()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{index} must be an index with a weight_map, got: {first_line(error)}. Copy it again."
        ) from error
    absent = sorted(file for file in shards if not (folder / file).is_file())
    if absent:
        listed = ", ".join(absent[:_NAMED]) + (
            f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
        )
        raise ModelError(
            f"{index} must name files that are there, got {listed}, which is missing. Copy the model again."
        )
    for file, wanted in sorted(shards.items()):
        lacking = sorted(wanted - _names_in(folder / file))
        if lacking:
            raise ModelError(
                f"{folder / file} must hold what {index.name} says, got it without "
                f"{', '.join(lacking[:_NAMED])}. Copy the model again."
            )


def _names_in(file: Path) -> set[str]:
    """Names of the tensors in a file, whose header and length are checked."""
    return _safe_names(file) if file.suffix == ".safetensors" else _pickled_names(file)


def _safe_names(file: Path) -> set[str]:
    try:
        with safe_open(file, framework="pt") as opened:
            return set(opened.keys())
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"{file} must be a whole safetensors file, got: {first_line(error)}. It was cut off or changed; "
            "copy it again."
        ) from error


def _pickled_names(file: Path) -> set[str]:
    try:
        held: Any = torch.load(file, map_location="meta", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{file} must hold tensors alone, got a pickle that would run code: {_forbidden(error)}. Convert "
            "it to safetensors where you trust it."
        ) from error
    except Exception as error:  # whatever torch says of a file that a user gave
        raise ModelError(
            f"{file} must be a whole torch.save file, got: {first_line(error)}. It was cut off or changed; "
            "copy it again."
        ) from error
    if not isinstance(held, dict) or not all(isinstance(name, str) for name in held):
        raise ModelError(
            f"{file} must hold a state dict, got {type(held).__name__}. Save model.state_dict()."
        )
    return set(held)


def _forbidden(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if "GLOBAL" in line or "global" in line), lines[0])[:200]
