"""What the head of a model reads, the head, its embeddings: what `core.signals.space.HeadSpace` is of."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from limbeck.core.errors import ModelError
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import Site
from limbeck.core.signals import Head
from limbeck.core.taps import Forward, Tap


class HeadSides(NamedTuple):
    """Hidden states [B, T, H] that a head reads, the head, and constant embeddings [..., D] of ids [...]."""

    hidden: Tensor
    head: Head
    embed: Callable[[Tensor], Tensor]


def _refuse_bent_heads(reader: ForwardModel, sites: Sequence[Site]) -> AbstractContextManager[None]:
    if not reader.projects:
        raise ModelError(
            f"model must have a linear head to give its space, got {type(reader.plain).__name__}. "
            "Use an objective on logits."
        )
    return nullcontext()


def _sides(forward: Forward, site: Site) -> HeadSides:
    def embed(ids: Tensor) -> Tensor:
        # The module, not its weight: some scale what they look up (Gemma).
        with torch.no_grad():
            embeddings: Tensor = forward.reader.plain.get_input_embeddings()(ids)
        return embeddings.detach()

    return HeadSides(forward.reader.hidden_of(forward.answer), forward.reader.head(), embed)


TAP = Tap(_sides, around=_refuse_bent_heads)
