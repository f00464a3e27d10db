"""Whether a classifier does worse than chance: the sign of class scores in another order than the labels."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

from limbeck.core.batch import Source
from limbeck.core.class_names import listed
from limbeck.core.errors import ModelError
from limbeck.core.masks import IGNORE
from limbeck.core.needs import DISTRIBUTION
from limbeck.teachers import EnsembleTeacher, LocalTeacher
from limbeck.teachers.protocol import Teacher

_SAMPLE, _BATCH = 256, 16  # rows; a thousandth of the cost of a training of any length
_SURE = 1e-3  # by chance alone, one tuned teacher in a thousand would be called worse than chance


def is_below_chance(right: float, total: int, classes: int) -> bool:
    """Whether so many right answers are fewer than guessing would give, beyond doubt."""
    if total == 0 or classes < 2:
        return False
    return bool(binomtest(round(right), total, 1 / classes, alternative="less").pvalue < _SURE)


def refuse_below_chance(
    teacher: Teacher | None, source: Source, names: Sequence[str], device: torch.device
) -> None:
    """Raise ModelError when a tuned classifier is worse than chance on rows that it is to teach.

    Args:
        teacher: whose live models are asked, each for itself; stores are not.
        source: rows with class ids; up to 256 of them are read.
        names: of the classes in the order of the scores.
        device: of the teacher.
    """
    for name, model in _models(teacher).items():
        counts = _confusion(model, source, len(names), device)
        right, total = int(counts.trace()), int(counts.sum())
        if is_below_chance(right, total, len(names)):
            raise ModelError(
                f"{name} must be better than chance at the labels of its rows, got {right:,} of {total:,} "
                f"right with the classes {listed(names)}.{_better_order(counts, names)} Check `id2label` in "
                "its config.json and the labels of the rows."
            )


def _models(teacher: Teacher | None) -> Mapping[str, LocalTeacher]:
    if isinstance(teacher, EnsembleTeacher):
        members = {f"the teacher {one.name}": one.teacher for one in teacher.members}
        return {name: one for name, one in members.items() if isinstance(one, LocalTeacher)}
    return {"the teacher": teacher} if isinstance(teacher, LocalTeacher) else {}


def _confusion(
    teacher: LocalTeacher, source: Source, classes: int, device: torch.device
) -> NDArray[np.int64]:
    """[C, C] counts of labelled rows: the label by the class that the teacher finds likeliest."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    places = list(range(0, len(source), max(1, len(source) // _SAMPLE)))[:_SAMPLE]
    for start in range(0, len(places), _BATCH):
        batch = source.batch(places[start : start + _BATCH]).to(device)
        logits = teacher.answer(batch, DISTRIBUTION).logits
        assert logits is not None and batch.targets is not None
        truth, said = batch.targets.cpu().numpy(), logits.argmax(-1).cpu().numpy()
        known = truth != IGNORE
        np.add.at(counts, (truth[known], said[known]), 1)
    return counts


def _better_order(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """The order of names under which the most answers are right, where it is better than chance."""
    labels, scores = linear_sum_assignment(counts, maximize=True)
    right, total = int(counts[labels, scores].sum()), int(counts.sum())
    if right <= total / len(names):
        return ""
    order = [names[label] for _, label in sorted(zip(scores.tolist(), labels.tolist(), strict=True))]
    return f" In the order {listed(order)} it would be right in {right:,}."
