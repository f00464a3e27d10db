"""Several teachers as the teacher of a training, and what their rows and stores must be like."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem, StoreError
from limbeck.core.lookup import did_you_mean
from limbeck.recipes.teachers import EnsembleTeacher as EnsemblePart
from limbeck.recipes.teachers import Teacher as TeacherPart
from limbeck.runs.assembly.teachers.opened import Opened, Taught
from limbeck.teachers import ByColumn, ByLikelihood, EnsembleTeacher, Member
from limbeck.teachers.protocol import Teacher

_NAMED = 3  # words in a message


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


def check_route(teacher: TeacherPart | None, rows: Dataset) -> None:
    """Refuse a route by a column that is not there, or names somebody else.

    Raises:
        ConfigError: what the rows lack.
    """
    if not isinstance(teacher, EnsemblePart) or teacher.route is None or not teacher.route.column:
        return
    column, names = teacher.route.column, [one.called for one in teacher.ensemble if one.weight]
    if column not in rows.column_names:
        raise ConfigError(
            Problem("column", f"unknown column '{column}'.{did_you_mean(column, rows.column_names)}")
        )
    other = sorted({str(value) for value in rows.unique(column)} - set(names))
    if other:
        raise ConfigError(
            Problem(
                "column",
                f"must name members ({', '.join(names)}) in every row, got {', '.join(other[:_NAMED])}"
                f"{', ...' if len(other) > _NAMED else ''}. Give members the `name` that the rows say.",
            )
        )


def check_topk(teacher: TeacherPart | None, is_topk: Mapping[str, bool]) -> None:
    """Refuse what cannot be done with top-k stores side by side.

    Args:
        teacher: of a training.
        is_topk: path of each store (`teacher.ensemble.0.signals`) -> whether it keeps top-k.

    Raises:
        StoreError: all of it.
    """
    if not isinstance(teacher, EnsemblePart) or not any(is_topk.values()):
        return
    stored = [is_topk.get(f"teacher.{path}signals", False) for path in teacher.members]
    problems = [
        Problem(f"ensemble.{place}.temperature", f"must be 1 with a top-k store, got {member.temperature:g}.")
        for place, member in enumerate(teacher.ensemble)
        if stored[place] and member.temperature != 1
    ]
    if teacher.route is not None and not teacher.route.column:
        problems.append(
            Problem("route", "must be {column: NAME} with top-k stores, which do not know every likelihood.")
        )
    if teacher.mean == "logits" or (teacher.mean != "losses" and not all(stored)):
        what = "a top-k store, which has no logits" if all(stored) else "top-k stores beside other teachers"
        problems.append(Problem("mean", f"must be losses with {what}, got {teacher.mean}."))
    if problems:
        raise StoreError(problems)
