"""What a model is asked for, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from limbeck.core.signals import QKV, Chunks, Head, TopK

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Needs:
    """The least a set of terms asks of one model.

    Attributes:
        distribution: what the vocabulary (or class) scores are made of.
        states: layers whose output is wanted, counted from 0; -1 is the last.
        qkv: attention layers whose queries, keys and values are wanted.
        chunks: the likelihoods of chunks of text, from a teacher with another tokenizer.
    """

    distribution: bool = False
    states: tuple[int, ...] = ()
    qkv: tuple[int, ...] = ()
    chunks: bool = False

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(
            self.distribution or other.distribution,
            tuple(sorted({*self.states, *other.states})),
            tuple(sorted({*self.qkv, *other.qkv})),
            self.chunks or other.chunks,
        )

    def __bool__(self) -> bool:
        return self.distribution or bool(self.states) or bool(self.qkv) or self.chunks


@dataclass(frozen=True)
class Outputs:
    """Answer of a model to a batch; only what was asked for is there.

    A distribution comes in one of three forms: `hidden` with `head` (the vocabulary is
    projected later, where it is needed), dense `logits`, or the stored form `topk`.

    Attributes:
        hidden: [B, T, H] what the vocabulary head reads.
        head: the vocabulary head.
        logits: [B, T, V] or [B, C].
        topk: the K most likely outcomes of each position and the mass of the rest.
        states: layer -> [B, T, D].
        qkv: layer -> queries, keys and values.
        chunks: of a teacher with another tokenizer.
    """

    hidden: "Tensor | None" = None
    head: Head | None = None
    logits: "Tensor | None" = None
    topk: TopK | None = None
    states: Mapping[int, "Tensor"] = field(default_factory=dict)
    qkv: Mapping[int, QKV] = field(default_factory=dict)
    chunks: Chunks | None = None
