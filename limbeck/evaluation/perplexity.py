"""How well each subject predicts the held-out text."""

import math
from typing import Any

import numpy as np

from limbeck.core.masks import IGNORE
from limbeck.evaluation.evidence import Array, Evidence, Units
from limbeck.evaluation.statistics import Estimate, verdict

DEFINITION = (
    "Nats per token: mean of -ln p(target) over the learnt positions. Bits per byte: the same sum in bits, "
    "divided by the UTF-8 bytes of the learnt tokens decoded without special tokens. The end of a row costs "
    "bits and adds no byte; a first token that nothing precedes is neither predicted nor counted. "
    "Intervals: 95 %, rows resampled."
)


def perplexity(evidence: Evidence) -> dict[str, Any]:
    """Nats per token, perplexity and bits per byte of the held-out text, for every subject."""
    units = evidence.units
    rows, sums, ones = units.rows, {}, units.rows.sums(np.ones(len(units)))
    # The masked tokens of an encoder are no text.
    is_text = evidence.settings.kind != "encoder"
    size = learnt_bytes(units, evidence.subjects[0].tokenizer) if is_text else np.zeros(rows.count)
    subjects = {}
    for name, judged in units.judged.items():
        sums[name] = rows.sums(judged.nll)
        nats = rows.ratio(sums[name], ones)
        subjects[name] = {"nats_per_token": nats, "perplexity": _exponential(nats)}
        if size.any():
            bits = rows.ratio(sums[name], size, n=len(units), scale=1 / math.log(2))
            subjects[name]["bits_per_byte"] = bits
            evidence.keep("bits_per_byte", name, units.ids, sums[name] / math.log(2), size)
    comparisons = []
    for student, baseline in evidence.pairs if size.any() else ():
        change = rows.difference(
            (sums[student.name], size), (sums[baseline.name], size), scale=1 / math.log(2)
        )
        comparisons.append(
            {
                "measure": "bits_per_byte",
                "student": student.name,
                "baseline": baseline.name,
                "difference": change | {"n": len(units)},
                "verdict": verdict(change, higher_is_better=False),
            }
        )
    return {
        "definition": DEFINITION,
        "tokens": len(units),
        "bytes": int(size.sum()),
        "subjects": subjects,
        "comparisons": comparisons,
    }


def learnt_bytes(units: Units, tokenizer: Any) -> Array:
    """[rows] UTF-8 bytes of each row's learnt tokens, decoded in the order they were read."""
    order = np.argsort(units.rows.row, kind="stable")
    cuts = np.searchsorted(units.rows.row[order], np.arange(1, units.rows.count))
    tokens = [part[part != IGNORE].tolist() for part in np.split(units.target[order], cuts)]
    texts = tokenizer.batch_decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return np.array([len(text.encode("utf-8")) for text in texts], dtype=np.float64)


def _exponential(nats: Estimate) -> Estimate:
    bounds = nats["interval"]
    return nats | {
        "value": math.exp(nats["value"]),
        "interval": bounds and [math.exp(bound) for bound in bounds],
    }
