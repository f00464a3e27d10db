"""Which targets a teacher answers that reads its own tokens or format, for terms that ask for it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from limbeck.core.batch import Batch
from limbeck.core.signals import ANSWERED
from limbeck.core.transform import Transform
from limbeck.runs.assembly.transforms.training import Training
from limbeck.runs.assembly.views import marked, views_in
from limbeck.teachers import CrossTokenizerTeacher


class AnsweredMarker(Transform):
    """Puts targets into the groups `core.signals.ANSWERED`.

    Args:
        mark: does so for one micro-batch.
    """

    groups: ClassVar[tuple[str, ...]] = ANSWERED

    def __init__(self, mark: Callable[[Batch], Batch]) -> None:
        self._mark = mark

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        """The micro-batches with their groups."""
        return [self._mark(batch) for batch in window]


def make(training: Training) -> AnsweredMarker | None:
    """The marker of the step, or None where no target is left unanswered or no term asks."""
    teacher = training.teacher
    if isinstance(teacher, CrossTokenizerTeacher):
        asked = any(term.on is not None for term in training.step.objective)
        return AnsweredMarker(teacher.prepare) if asked else None
    views = views_in(teacher)
    partly = any(one.rows.unanswered for one in views)
    return AnsweredMarker(partial(marked, teachers=views)) if partly else None
