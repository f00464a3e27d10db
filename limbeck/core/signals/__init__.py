"""The vocabulary of signals: what an objective may name as a positional argument.

The engine reads an objective's signature and asks student and teacher for exactly the signals it
names. A family of them is a module here with its `SIGNALS`; `_FAMILIES` is the list. Letters: B rows,
T positions, V vocabulary, C classes, M matched layers, H heads, D width, K top-k, V' another vocabulary,
N chunks of text that both tokenizers bound, E experts, P pairs. Nothing here imports torch before it
computes.
"""

from collections.abc import Mapping

from limbeck.core.signals import chunks, distribution, numbers, pairs, qkv, routing, scores, space, states
from limbeck.core.signals.distribution import Head, MixedHead, TopK
from limbeck.core.signals.entry import Moment, Side, Signal, Trial

__all__ = [
    "ANSWERED",
    "BATCH_SIGNALS",
    "PAIRED",
    "POINTWISE",
    "SIGNALS",
    "Head",
    "MixedHead",
    "Moment",
    "Side",
    "Signal",
    "TopK",
    "Trial",
]

_FAMILIES = (distribution, numbers, states, qkv, scores, chunks, space, routing, pairs)

SIGNALS: Mapping[str, Signal] = {one.name: one for family in _FAMILIES for one in family.SIGNALS}
"""Name of a signal -> what it is."""

BATCH_SIGNALS = tuple(one.name for one in numbers.NUMBERS)
"""Signals that come with the batch: one number for each target, put there when it was prepared."""

POINTWISE = frozenset(one.name for one in SIGNALS.values() if one.pointwise)
"""Signals with one entry a position: an objective of only these can be computed a row at a time (fused)."""

PAIRED = frozenset(one.name for one in pairs.SIGNALS)
"""Signals of two answers each, which come in one batch under `task: preference` alone."""

ANSWERED = ("unaligned", "aligned")
"""Groups of targets at a teacher with another tokenizer: whether one of its positions answers them."""
