"""How well each subject predicts the held-out text."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from limbeck.core.masks import IGNORE
from limbeck.evaluation.data import Array, EvaluationData, Units
from limbeck.evaluation.statistics import compared, exponential

DEFINITION = (
    "Nats per token: mean of -ln p(target) over the target positions. Bits per byte: the same sum in bits, "
    "divided by the UTF-8 bytes of the target tokens decoded without special tokens. The end of a row costs "
    "bits and adds no byte; a first token that nothing precedes is neither predicted nor counted. "
    "Intervals: 95 %, over rows."
)

_SEVERAL = (
    "Subjects with another tokenizer ({others}) read the same rows in their own tokens and windows, and have "
    "bits per byte alone: tokens of different tokenizers cannot be compared. Each subject's bits are divided "
    "by the bytes of its own target tokens: {bytes}. These counts differ by first tokens that nothing "
    "precedes, and by answers that were cut at the longest row."
)


@dataclass(frozen=True)
class _Text:
    """What a subject read, by row of the first group [rows]: nats, bytes, and tokens in all."""

    nats: Array
    size: Array
    tokens: int


ABILITY = "writes"
MEASURES = {
    "bits_per_byte": {
        "label": "bits per byte",
        "heading": "bits/byte",
        "better": "lower",
        "difference": "bits per byte of held-out text",
        "leads": True,
        "rank": 10,
    },
    "nats_per_token": {"label": "nats per token", "better": "lower", "compared": False, "rank": 11},
    "perplexity": {"heading": "perplexity", "better": "lower", "compared": False, "rank": 12},
}


def perplexity(evidence: EvaluationData) -> dict[str, Any]:
    """Nats per token, perplexity and bits per byte of the held-out text, for every subject."""
    units = evidence.units
    rows, ones = units.rows, units.rows.sums(np.ones(len(units)))
    size = bytes_in_loss(units, evidence.subjects[0].tokenizer)
    texts = {name: _Text(rows.sums(one.nll), size, len(units)) for name, one in units.judged.items()}
    subjects: dict[str, dict[str, Any]] = {}
    for name, text in texts.items():
        nats = rows.ratio(text.nats, ones)
        subjects[name] = {"nats_per_token": nats, "perplexity": exponential(nats)}
    for other in evidence.others:
        texts |= _aligned(other, units)
    for name, text in texts.items() if size.any() else ():
        bits = rows.ratio(text.nats, text.size, n=text.tokens, scale=1 / math.log(2))
        subjects.setdefault(name, {})["bits_per_byte"] = bits
        evidence.keep("bits_per_byte", name, units.ids, text.nats / math.log(2), text.size)
        if evidence.others:
            subjects[name] |= {"tokens": text.tokens, "bytes": int(text.size.sum())}
    pairs = evidence.pairs if size.any() else []
    return {
        "definition": DEFINITION + (f" {_several(evidence, texts)}" if evidence.others else ""),
        "tokens": len(units),
        "bytes": int(size.sum()),
        "subjects": subjects,
        "comparisons": [_compared(units, student.name, baseline.name, texts) for student, baseline in pairs],
    }


def _compared(units: Units, student: str, baseline: str, texts: Mapping[str, _Text]) -> dict[str, Any]:
    first, second = texts[student], texts[baseline]
    both = (first.size > 0) & (second.size > 0) if first.size is not second.size else np.True_
    change = units.rows.difference(
        (first.nats * both, first.size * both),
        (second.nats * both, second.size * both),
        scale=1 / math.log(2),
    )
    return compared("bits_per_byte", student, baseline, change | {"n": first.tokens}, higher_is_better=False)


def _aligned(other: EvaluationData, units: Units) -> dict[str, _Text]:
    """What subjects of another tokenizer read, in the order of the rows of `units`."""
    own, at = other.units, {row: place for place, row in enumerate(units.ids)}
    places = [(place, at[row]) for place, row in enumerate(own.ids) if row in at]
    here, there = (np.array(side, dtype=np.int64) for side in zip(*places, strict=True))

    def moved(values: Array) -> Array:
        result = np.zeros(units.rows.count)
        result[there] = values[here]
        return result

    size = moved(bytes_in_loss(own, other.subjects[0].tokenizer))
    tokens = int(moved(own.rows.sums(np.ones(len(own)))).sum())
    return {name: _Text(moved(own.rows.sums(one.nll)), size, tokens) for name, one in own.judged.items()}


def _several(evidence: EvaluationData, texts: Mapping[str, _Text]) -> str:
    others = [subject.name for other in evidence.others for subject in other.subjects]
    counts = [f"{name} {text.size.sum():,.0f}" for name, text in texts.items()]
    return _SEVERAL.format(others=", ".join(others), bytes=", ".join(counts))


def bytes_in_loss(units: Units, tokenizer: Any) -> Array:
    """[rows] UTF-8 bytes of each row's tokens in the loss, decoded in the order they were read."""
    order = np.argsort(units.rows.row, kind="stable")
    cuts = np.searchsorted(units.rows.row[order], np.arange(1, units.rows.count))
    tokens = [part[part != IGNORE].tolist() for part in np.split(units.target[order], cuts)]
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return np.array([len(text.encode("utf-8")) for text in texts], dtype=np.float64)
