"""How a teacher with another tokenizer is read."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.core.kinds import AUTO_KIND, kind_named
from limbeck.core.signals import SIGNALS
from limbeck.recipes.teachers.capabilities import INNER
from limbeck.recipes.terms import Term

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train


class Alignment(Config):
    """The teacher reads the same text in its own tokens; here is what of it answers the student."""

    pair: Literal["chunks", "order"] = Field(
        default="chunks",
        description="positions: tokens that are the same piece of text, or the n-th of a row for the n-th",
    )
    map: Literal["none", "min_edit"] = Field(
        default="none", description="teacher's scores for the student's ids, by spelling"
    )
    threshold: float = Field(
        default=0.1, ge=0, lt=1, description="a chunk ends where the teacher gives a new word more; 0: all do"
    )
    debias: bool = Field(default=True, description="that a word ends counts in a chunk's likelihood")
    teacher_max_length: int | None = Field(
        default=None, ge=2, description="tokens of a row at the teacher; none: as many as it can read"
    )


def alignment_problems(step: "Train") -> Iterator[Problem]:
    """What does not go with a teacher that has another tokenizer."""
    teacher = step.teacher
    if teacher is None or INNER not in teacher.gives() or any(teacher.training_only()):
        yield Problem("teacher", "must be a model without noise, to read rows in its own tokens.")
    apart = {
        "rollouts": step.rollouts is not None,
        "selection": step.selection is not None,
        "validation": step.validation is not None,
        "task": step.task != "default",
        "model_kind": step.model_kind != AUTO_KIND and not kind_named(step.model_kind).decoder_only,
    }
    for name in (name for name, is_set in apart.items() if is_set):
        yield Problem(name, "cannot go with a teacher of another tokenizer: leave it out.")
    is_mapped = step.alignment is not None and step.alignment.map != "none"
    for place, term in enumerate(step.objective):
        yield from (one.below(f"objective.{place}") for one in _term_problems(term, is_mapped))


def _term_problems(term: Term, is_mapped: bool) -> Iterator[Problem]:
    read = [SIGNALS[name] for name in term.signals]
    same = sorted(one.name for one in read if one.side != "student" and one.tokens == "same")
    if same:
        yield Problem(
            "",
            f"{term.name} reads {' and '.join(same)}, which needs the teacher's tokens to be the "
            "student's. Take alm, uld, dual_space, or a teacher with the student's tokenizer.",
        )
    at_positions = {one.tokens for one in read if one.side == "teacher" and one.pointwise} - {"same"}
    if "any" in at_positions and not is_mapped:
        yield Problem(
            "",
            f"{term.name} compares scores of the same ids: add alignment: {{map: min_edit}}, or take alm.",
        )
    if "own" in at_positions and is_mapped:
        yield Problem("", f"{term.name} reads the teacher's own ids: leave out alignment.map.")
    if at_positions and term.on != "aligned":
        yield Problem("on", f"must be aligned: only there the teacher answers, got {term.on}.")
