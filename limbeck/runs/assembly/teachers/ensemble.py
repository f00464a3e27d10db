"""Several teachers as the teacher of a training."""

from collections.abc import Sequence
from dataclasses import dataclass

from datasets import Dataset

from limbeck.recipes.teachers import EnsembleTeacher as EnsemblePart
from limbeck.runs.assembly.teachers.opened import Opened, Taught
from limbeck.teachers import ByColumn, ByLikelihood, EnsembleTeacher, Member
from limbeck.teachers.protocol import Teacher


@dataclass(frozen=True)
class OpenedEnsemble:
    """Members that are all found."""

    part: EnsemblePart
    taught: Taught
    members: Sequence[Opened]

    @property
    def shared(self) -> int | None:
        """Token ids that any member shares with the student."""
        return max((size for one in self.members if (size := one.shared) is not None), default=None)

    def answering(self, vocabulary: int | None) -> Teacher:
        """The members, and the mean over them."""
        members = [
            Member(
                one.answering(vocabulary),
                part.called,
                weight=part.weight,
                temperature=part.temperature,
                on=part.on,
            )
            for one, part in zip(self.members, self.part.ensemble, strict=True)
        ]
        route = make_route(self.part, self.taught.work.rows(self.taught.step.rows))
        return EnsembleTeacher(members, mean=self.part.mean, route=route)


def make_route(part: EnsemblePart, rows: Dataset) -> ByColumn | ByLikelihood | None:
    """Who answers which of the rows, or None.

    Args:
        part: an ensemble.
        rows: with their ids, and the column that the route names.
    """
    if part.route is None:
        return None
    if not part.route.column:
        return ByLikelihood()
    column = part.route.column
    return ByColumn(column, dict(zip(rows["id"], map(str, rows[column]), strict=True)))
