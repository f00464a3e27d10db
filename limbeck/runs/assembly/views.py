"""Teachers that read the rows of a training in a chat format of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from limbeck.core.batch import Batch
from limbeck.core.examples import data_row
from limbeck.core.kinds import kind_named
from limbeck.core.signals import ANSWERED
from limbeck.recipes.terms import Term
from limbeck.rollouts.rollout import prompt_length
from limbeck.rows.aligned.views import view_of, writes_alike
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.ragged import Ragged
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from limbeck.runs.assembly.sources import Renderer
from limbeck.teachers import EnsembleTeacher, OwnViewTeacher
from limbeck.teachers.own_view import PromptedRows, ViewedRows


@dataclass(frozen=True)
class OwnView:
    """The rows as a teacher reads them.

    Attributes:
        rendered: in its format.
        rendering: how they were rendered.
        viewed: with what of them answers the student.
        ends: token of the student -> the teacher's in its place.
        pad: the teacher's padding.
        several: the id of a row with several answers, if there is one.
    """

    rendered: Dataset
    rendering: Rendering
    viewed: ViewedRows
    ends: dict[int, int]
    pad: int
    several: str = ""

    def prompted(self, prompt_tokens: int) -> PromptedRows:
        """The prompts of the rows, for answers that are yet to be written."""
        ids, loss_mask = (Ragged.of_column(self.rendered, name) for name in ("input_ids", "is_target"))
        prompts = {
            name: ids[place][: prompt_length(loss_mask[place].tolist(), prompt_tokens)].astype(np.int64)
            for place, name in enumerate(self.rendered["row_id"])
        }
        return PromptedRows(prompts, self.ends, self.pad)

    @property
    def targets(self) -> int:
        """Targets of the student."""
        return sum(len(ranks) for _, ranks in self.viewed.answering.values())

    @property
    def note(self) -> str:
        """What the plan and the record say."""
        said = "the chat templates differ: the teacher reads every row in its own format (view: own)"
        if self.viewed.unanswered:
            said += f"; {self.viewed.unanswered:,} of {self.targets:,} target tokens are not answered by it"
        return said


@dataclass(frozen=True)
class Reading:
    """The rows of a step as its student reads them.

    Attributes:
        reference: of the rows.
        rows: themselves.
        tokenizer: the student's.
        rendering: the student's.
        renderer: keeps what was rendered.
    """

    reference: str
    rows: Dataset
    tokenizer: Any
    rendering: Rendering
    renderer: Renderer

    def own_view(self, tokenizer: Any, length: int | None) -> OwnView | None:
        """How a teacher with the same token ids reads these rows; None: as the student does.

        Plain text has no format, so it is read as it is.

        Args:
            tokenizer: the teacher's.
            length: most tokens of a row for the teacher; None: as many as the student's.
        """
        if not kind_named(self.rendering.model_kind).decoder_only or writes_alike(self.tokenizer, tokenizer):
            return None
        if kind_of(self.rows.column_names) is Kind.TEXT:
            return None
        longest = self.rendering.max_length if length is None else length
        own = replace(self.rendering, max_length=longest)
        student, teacher = (
            self.renderer.render(self.reference, self.rows, one, read)
            for one, read in ((self.tokenizer, self.rendering), (tokenizer, own))
        )
        if student["input_ids"] == teacher["input_ids"] and student["is_target"] == teacher["is_target"]:
            return None
        pair = self.renderer.render_pair(
            self.reference, self.rows, self.tokenizer, tokenizer, self.rendering, teacher_length=longest
        )
        rows = set(self.rows["id"])
        view = view_of(
            pair,
            student,
            teacher,
            data_row=lambda name: data_row(name, rows),
            marks=_special_ids(self.tokenizer) | _special_ids(tokenizer),
        )
        viewed = ViewedRows(PaddedSource(teacher, own, int(tokenizer.pad_token_id)), view.answering)
        several = _several_answers(teacher) or _several_answers(student)
        several = several or next(iter(set(student["row_id"]) - set(teacher["row_id"])), "")
        return OwnView(teacher, own, viewed, view.ends, int(tokenizer.pad_token_id), several)


def _special_ids(tokenizer: Any) -> set[int]:
    added = tokenizer.added_tokens_decoder.items()
    return {*tokenizer.all_special_ids, *(place for place, token in added if token.special)}


def _several_answers(rendered: Dataset) -> str:
    """The id of a row with several stretch in the losses; empty where there is none."""
    loss_mask = Ragged.of_column(rendered, "is_target")
    for place, name in enumerate(rendered["row_id"]):
        if (np.diff(loss_mask[place].astype(np.int8)) == 1).sum() > 1:
            return str(name)
    return ""


def views_in(teacher: Any) -> list[OwnViewTeacher]:
    """Those that read their own format, of a teacher or of the members of an ensemble."""
    members = [one.teacher for one in teacher.members] if isinstance(teacher, EnsembleTeacher) else [teacher]
    return [one for one in members if isinstance(one, OwnViewTeacher)]


def answered_only(terms: Sequence[Term]) -> list[Term]:
    """Terms that learn from the teacher only where it answers."""
    return [
        term.model_copy(update={"on": "aligned"})
        if any(name.startswith("teacher_") for name in term.signals)
        else term
        for term in terms
    ]


def marked(batch: Batch, teachers: Sequence[OwnViewTeacher]) -> Batch:
    """The batch with its targets in the groups `core.signals.ANSWERED`: by all teachers, or not."""
    assert batch.targets is not None and batch.loss_mask is not None
    answered = torch.stack([one.answers(batch) for one in teachers]).all(0)
    groups = answered.long().where(batch.loss_mask, batch.targets)
    return replace(batch, groups=groups, group_names=ANSWERED)
