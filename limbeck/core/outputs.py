"""What a model is asked for, and what it answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from limbeck.core.errors import ConfigError
from limbeck.core.masks import IGNORE
from limbeck.core.signals import QKV, Chunks, Head, MixedHead, Routing, Space, TopK

if TYPE_CHECKING:
    from torch import Tensor

    from limbeck.core.batch import Batch


@dataclass(frozen=True)
class Needs:
    """The least a set of terms asks of one model.

    Attributes:
        distribution: what the vocabulary (or class) scores are made of.
        states: layers whose output is wanted, counted from 0; -1 is the last.
        qkv: attention layers whose queries, keys and values are wanted.
        chunks: the likelihoods of chunks of text, from a teacher with another tokenizer.
        space: what its head reads and writes, with the embeddings of its tokens.
        routing: which experts its routers choose.
    """

    distribution: bool = False
    states: tuple[int, ...] = ()
    qkv: tuple[int, ...] = ()
    chunks: bool = False
    space: bool = False
    routing: bool = False

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(
            self.distribution or other.distribution,
            tuple(sorted({*self.states, *other.states})),
            tuple(sorted({*self.qkv, *other.qkv})),
            self.chunks or other.chunks,
            self.space or other.space,
            self.routing or other.routing,
        )

    def __bool__(self) -> bool:
        flags = (self.distribution, self.chunks, self.space, self.routing)
        return any(flags) or bool(self.states or self.qkv)


@dataclass(frozen=True)
class Outputs:
    """Answer of a model to a batch; only what was asked for is there.

    A distribution comes in one of three forms: `hidden` with `head` (the vocabulary is
    projected later, where it is needed), dense `logits`, or the stored form `topk`.

    Attributes:
        hidden: [B, T, H] what the vocabulary head reads.
        head: the vocabulary head; a mixture's only of teachers.
        logits: [B, T, V] or [B, C].
        topk: the K most likely outcomes of each position and the mass of the rest.
        states: layer -> [B, T, D].
        qkv: layer -> queries, keys and values.
        chunks: of a teacher with another tokenizer.
        embed: input embeddings [..., D] of token ids [...], constants; with `hidden` and `head`, what
            `space_of` needs.
        space: made already, by whoever reads another batch than the student's.
        routing: of a model with experts.
        members: teachers whose losses are averaged, each with its weight; then nothing else is here.
    """

    hidden: "Tensor | None" = None
    head: Head | MixedHead | None = None
    logits: "Tensor | None" = None
    topk: TopK | None = None
    states: Mapping[int, "Tensor"] = field(default_factory=dict)
    qkv: Mapping[int, QKV] = field(default_factory=dict)
    chunks: Chunks | None = None
    embed: "Callable[[Tensor], Tensor] | None" = None
    space: Space | None = None
    routing: Routing | None = None
    members: "tuple[tuple[Tensor | float, Outputs], ...]" = ()


def space_of(outputs: Outputs, batch: "Batch") -> Space:
    """The space of a model that answered a batch to `Needs(space=True)`; the one it made already, if any.

    Args:
        outputs: of that model.
        batch: that it read, in its own tokens, with targets.

    Raises:
        ConfigError: the answer holds no hidden states (a store, noise on its logits), or the batch has no
            targets.
    """
    if outputs.space is not None:
        return outputs.space
    if outputs.hidden is None or not isinstance(outputs.head, Head) or outputs.embed is None:
        raise ConfigError(
            "a space must be made of hidden states, a head and embeddings, got an answer without. "
            "Train with a model as the teacher, without noise."
        )
    if batch.targets is None or batch.targets.dim() != 2:
        raise ConfigError("a space must have a token to predict at each position, got rows without targets.")
    learnt = batch.targets != IGNORE
    read = batch.inputs.get("decoder_input_ids", batch.inputs["input_ids"])
    targets = outputs.embed(batch.targets.masked_fill(~learnt, 0)) * learnt[..., None]
    return Space(outputs.hidden, outputs.embed(read), targets, batch.targets, outputs.head)
