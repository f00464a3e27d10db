"""What a model answers."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from limbeck.core.needs import Site
from limbeck.core.signals import Head, MixedHead, TopK


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
        taps: (tap, site) -> what was tapped there (`limbeck.core.taps`).
        members: teachers whose losses are averaged, each with its weight; then nothing else is here.
    """

    hidden: Tensor | None = None
    head: Head | MixedHead | None = None
    logits: Tensor | None = None
    topk: TopK | None = None
    taps: Mapping[tuple[str, Site], Any] = field(default_factory=dict)
    members: "tuple[tuple[Tensor | float, Outputs], ...]" = ()

    def tensors(self) -> Iterator[Tensor]:
        """All that a gradient may flow through, heads left out."""
        for value in (self.hidden, self.logits, *self.taps.values()):
            yield from _tensors(value)


def of_each(change: Callable[[Sequence[Tensor]], Tensor], values: Sequence[Any]) -> Any:
    """One value from several of the same make: tensors, or tuples of them, changed place by place."""
    first = values[0]
    if not isinstance(first, tuple):
        return change(values)
    parts = [of_each(change, parts) for parts in zip(*values, strict=True)]
    return type(first)(*parts) if hasattr(first, "_fields") else tuple(parts)


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, tuple):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, Tensor):
        yield value
