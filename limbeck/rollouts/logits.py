"""Scores of chosen positions, some rows at a time: [N, V] never exists."""

from collections.abc import Iterator

import torch
from torch import Tensor

from limbeck.core.forward_model import project
from limbeck.core.outputs import Outputs

_CHUNK = 2**21  # logits held at a time, 8 MB


def logit_chunks(outputs: Outputs, chosen: Tensor) -> Iterator[Tensor]:
    """Logits [n, V] in float32 of the `chosen` positions [B, T], in their order."""
    source = outputs.logits if outputs.hidden is None else outputs.hidden
    assert source is not None
    rows, head = source[chosen], outputs.head
    size = max(1, _CHUNK // (rows.shape[-1] if head is None else head.vocabulary))
    for part in rows.split(size):
        with torch.autocast(rows.device.type, enabled=False):  # as in the objectives
            yield (part if head is None else project(part, head)).float()
