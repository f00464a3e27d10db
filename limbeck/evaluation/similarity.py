"""Whether the students' sentence embeddings order pairs of sentences as the teacher's do."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from limbeck.core.errors import ConfigError
from limbeck.core.needs import at
from limbeck.core.seeds import generator
from limbeck.evaluation.data import EvaluationData, device_of, reading
from limbeck.evaluation.settings import EvaluatedModel
from limbeck.evaluation.statistics import Rows, correlation

Array = NDArray[np.float64]

DEFINITION = (
    "A sentence's embedding is the mean of the last layer over its tokens. Pair order: Spearman correlation, "
    "between student and teacher, of the cosines of held-out sentences paired at random (each sentence in "
    "one pair). Cosine: mean cosine of a student's and the teacher's embedding of the same sentence, where "
    "widths are equal. Human: Spearman of cosines with the rows' `score`. Intervals: 95 %, over pairs."
)

ABILITY = "embeds"
TEACHER = "usual"  # rows with human scores do without
MEASURES = {
    "pair_order": {
        "label": "order of sentence pairs, Spearman",
        "heading": "pair order",
        "better": "higher",
        "of_teacher": True,
        "rank": 50,
    },
    "cosine": {
        "label": "cosine to the teacher",
        "heading": "cosine",
        "better": "higher",
        "of_teacher": True,
        "rank": 51,
    },
    "human": {
        "label": "agreement with human scores, Spearman", "heading": "human", "better": "higher", "rank": 52,
    },
}  # fmt: skip


def similarity(evidence: EvaluationData) -> dict[str, Any]:
    """Order of sentence-pair cosines against the teacher and against human scores; cosine to the teacher."""
    ids, embeddings = _embed(evidence)
    teacher, settings = evidence.teacher, evidence.settings
    order = generator(settings.seed, "pairs").permutation(len(ids))
    order = order[: len(order) // 2 * 2].reshape(-1, 2)
    firsts, seconds, scores = _scored_pairs(evidence, ids)
    if teacher is None and not len(scores):
        raise ConfigError(
            "similarity must have a teacher, or rows with text_a, text_b and score, got neither. "
            "Name a teacher or give scored pairs."
        )
    numbers: dict[str, int] = {}
    rows = Rows(
        [numbers.setdefault(name, len(numbers)) for name in ids],
        resamples=settings.resamples,
        seed=settings.seed,
    )
    subjects: dict[str, dict[str, Any]] = {}
    for name, mine in embeddings.items():
        subjects[name] = {"width": int(mine.shape[1])}
        if len(scores):
            subjects[name]["human"] = correlation(_cosine(mine[firsts], mine[seconds]), scores, by_rank=True)
        if teacher is None or name == teacher.name:
            continue
        theirs = embeddings[teacher.name]
        subjects[name]["pair_order"] = correlation(
            _cosine(mine[order[:, 0]], mine[order[:, 1]]),
            _cosine(theirs[order[:, 0]], theirs[order[:, 1]]),
            by_rank=True,
        )
        if mine.shape == theirs.shape:
            subjects[name]["cosine"] = rows.mean(_cosine(mine, theirs))
    return {"definition": DEFINITION, "sentences": len(ids), "subjects": subjects, "comparisons": []}


def embed(subject: EvaluatedModel, inputs: dict[str, torch.Tensor]) -> Array:
    """[B, D] mean of the last layer over the tokens of each sentence."""
    last = subject.reader.read(inputs, at("states", -1)).taps["states", -1].float()
    mask = inputs.get("attention_mask")
    if mask is None:
        pooled = last.mean(1)
    else:
        weights = mask.to(last.dtype)[..., None]
        pooled = (last * weights).sum(1) / weights.sum(1).clamp_min(1)
    return pooled.double().cpu().numpy()


def _embed(evidence: EvaluationData) -> tuple[list[str], dict[str, Array]]:
    ids: list[str] = []
    found: dict[str, list[Array]] = {subject.name: [] for subject in evidence.subjects}
    with reading(evidence.subjects):
        for batch, share in evidence.batches():
            ids += [evidence.row_id(names[0]) for names in batch.row_ids]
            for subject in evidence.subjects:
                found[subject.name].append(embed(subject, dict(batch.to(device_of(subject)).inputs)))
            evidence.progress("similarity", share)
            cap = evidence.settings.max_positions
            if cap is not None and len(ids) >= cap:
                break
    return ids, {name: np.concatenate(parts) for name, parts in found.items()}


def _scored_pairs(evidence: EvaluationData, ids: list[str]) -> tuple[NDArray[Any], NDArray[Any], Array]:
    """Places of both sentences, and the score, of every row with `score` that gave two sentences."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(ids):
        places.setdefault(name, []).append(place)
    pairs = [
        (two[0], two[1], float(evidence.rows[name]["score"]))
        for name, two in places.items()
        if len(two) == 2 and evidence.rows.get(name, {}).get("score") is not None
    ]
    table = np.array(pairs, dtype=np.float64).reshape(-1, 3)
    return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]


def _cosine(first: Array, second: Array) -> Array:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(1) / np.maximum(lengths, np.finfo(np.float64).tiny)
