"""The matrix products of a vocabulary head: scores, and gradients of hidden states and weight, in float32.

On CUDA the operands stay in 16 bits and sums are kept in float32; elsewhere heads of 16 bits are
converted some columns at a time.
"""

import torch
from torch import Tensor

from limbeck.core.signals import Head

_CPU_TILE = 2048  # columns of one projection
_GPU_TILE = 32768


def product_dtype(hidden: Tensor) -> torch.dtype:
    """What the products multiply in: on CUDA the dtype of autocast or the hidden states, else float32."""
    kind = hidden.device.type
    if kind != "cuda":
        return torch.float32
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
    return dtype if dtype in (torch.float16, torch.bfloat16) else torch.float32


def scores(hidden: Tensor, head: Head, out: Tensor, dtype: torch.dtype) -> Tensor:
    """Logits before the softcap, scale * (hidden @ weight.T + bias), written to `out` [R, V]."""
    h = hidden.to(dtype)
    for columns in _tiles(out):
        product(h, head.weight[columns].detach().to(dtype).T, out=out[:, columns])
    if head.bias is not None:
        out.add_(head.bias.detach())
    return out if head.scale == 1 else out.mul_(head.scale)


def hidden_gradient(dz: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """dz @ weight, [R, H], for a gradient [R, V] in the scores."""
    total = dz.new_empty(dz.shape[0], weight.shape[1])
    for place, columns in enumerate(_tiles(dz)):
        product(dz[:, columns].to(dtype), weight[columns].to(dtype), out=total, add=place > 0)
    return total


def weight_gradient(dz: Tensor, hidden: Tensor, out: Tensor, dtype: torch.dtype, *, add: bool) -> None:
    """dz.T @ hidden, written or added to `out` [V, H]."""
    right = hidden.to(dtype)
    for columns in _tiles(dz):
        product(dz[:, columns].to(dtype).T, right, out=out[columns], add=add)


def product(a: Tensor, b: Tensor, out: Tensor, *, add: bool = False) -> None:
    """out = a @ b, or out += a @ b, with a result of at least float32 whatever the operands."""
    if a.dtype in (torch.float32, torch.float64):
        torch.addmm(out, a, b, beta=1 if add else 0, out=out)
    elif add:
        out.add_(torch.mm(a, b, out_dtype=torch.float32))
    else:
        out.copy_(torch.mm(a, b, out_dtype=torch.float32))


def _tiles(wide: Tensor) -> list[slice]:
    size = _CPU_TILE if wide.device.type == "cpu" else _GPU_TILE
    return [slice(start, start + size) for start in range(0, wide.shape[1], size)]
