"""The `hidden` payload: last hidden states as bfloat16, float32 or 8-bit numbers, and the head once.

bfloat16 rounds a state to 8 significant bits (relative error at most 2^-9), float32 not at all;
int8 rounds to 1/254 of the largest entry of its own state. What that costs in KL is up to the teacher;
a rehearsal measures it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from limbeck.core.files import beside
from limbeck.core.signals import Head

COLUMNS = ("hidden", "scales")
"""Streams of a row; `scales` is empty but for int8."""

_INT8 = 127
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def encode(hidden: Tensor, positions: Sequence[int], *, dtype: str) -> dict[str, list[bytes]]:
    """Streams of rows.

    Args:
        hidden: [N, H] of all rows' positions, row after row, on the CPU.
        positions: of each row.
        dtype: `float32`, `bfloat16` or `int8`.
    """
    if dtype == "int8":
        scales = hidden.float().abs().amax(-1) / _INT8
        steps = (hidden.float() / scales.clamp_min(torch.finfo(torch.float32).tiny)[:, None]).round()
        found = {"hidden": _bytes(steps.to(torch.int8)), "scales": _bytes(scales)}
    else:
        found = {"hidden": _bytes(hidden.to(_DTYPES[dtype])), "scales": np.zeros((len(hidden), 0), np.uint8)}
    borders = np.cumsum(positions)[:-1]
    return {name: [part.tobytes() for part in np.split(rows, borders)] for name, rows in found.items()}


def decode(streams: Mapping[str, Sequence[Any]], *, width: int, dtype: str) -> Tensor:
    """[N, H] hidden states of some rows, row after row; float32, or bfloat16 where that was stored."""
    flat = torch.frombuffer(bytearray(b"".join(streams["hidden"])), dtype=torch.uint8)
    if dtype != "int8":
        return flat.view(_DTYPES[dtype]).view(-1, width)
    scales = torch.frombuffer(bytearray(b"".join(streams["scales"])), dtype=torch.float32)
    return flat.view(torch.int8).view(-1, width).float() * scales[:, None]


def save_head(head: Head, path: Path) -> None:
    """Write the head as safetensors: `weight` [V, H], maybe `bias` [V]; scale and softcap as metadata."""
    tensors = {"weight": head.weight.detach().cpu().contiguous()}
    if head.bias is not None:
        tensors["bias"] = head.bias.detach().cpu().contiguous()
    # One key: safetensors writes several in any order, and equal stores have equal bytes.
    numbers = json.dumps({"scale": head.scale, "softcap": head.softcap})
    with beside(path) as temporary:
        save_file(tensors, temporary, metadata={"head": numbers})


def load_head(path: Path) -> Head:
    """Read the head back."""
    with safe_open(path, framework="pt") as file:
        numbers, names = json.loads(file.metadata()["head"]), list(file.keys())
        return Head(
            weight=file.get_tensor("weight"),
            bias=file.get_tensor("bias") if "bias" in names else None,
            scale=numbers["scale"],
            softcap=numbers["softcap"],
        )


def _bytes(values: Tensor) -> NDArray[np.uint8]:
    return values.contiguous().view(torch.uint8).reshape(len(values), -1).numpy()
