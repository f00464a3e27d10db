"""The teacher of a training, one or several, and the token ids that are shared with the student."""

from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from limbeck.core.models import ModelKind, read_config
from limbeck.core.positions import positions_of
from limbeck.recipes.members import Member as MemberPart
from limbeck.recipes.parts import Teacher as TeacherPart
from limbeck.recipes.steps import Train
from limbeck.rows.rendering import Rendering
from limbeck.runs.steps.work import Work
from limbeck.runs.stores import (
    captured_length,
    check_rows,
    open_store,
    row_checksums,
    shared_with_store,
    tokenizer_of_store,
)
from limbeck.runs.views import OwnView, Reading
from limbeck.signals.reader import Signals
from limbeck.teachers import (
    ByColumn,
    ByLikelihood,
    EnsembleTeacher,
    ForeignTeacher,
    LocalTeacher,
    Member,
    OwnViewTeacher,
    StoredTeacher,
    shared_vocabulary,
)

AnyTeacher = LocalTeacher | StoredTeacher | EnsembleTeacher | ForeignTeacher | OwnViewTeacher


def make_teacher(
    step: Train,
    work: Work,
    student: Any,
    tokenizer: Any,
    *,
    kind: ModelKind,
    label_names: tuple[str, ...],
    rows: Dataset,
    rendering: Rendering,
) -> tuple[AnyTeacher | None, int | None]:
    """The teacher, and the number of token ids that all share (None: all of the student's).

    Args:
        step: the training; without a teacher there is none.
        work: where models and stores are found.
        student: the model that learns.
        tokenizer: the student's.
        kind: what student and teacher are used as.
        label_names: classes of a classifier.
        rows: rendered, as the student reads them.
        rendering: how they were rendered.

    Raises:
        VocabularyError: the tokenizers differ.
        StoreError: the store was captured from other rows, or cannot be read.
    """
    if step.teacher is None:
        return None, None
    maker = _Maker(step, work, student, tokenizer, kind, label_names, rows, rendering)
    return maker.make(step.teacher)


@dataclass(frozen=True)
class _Maker:
    step: Train
    work: Work
    student: Any
    tokenizer: Any
    kind: ModelKind
    label_names: tuple[str, ...]
    rows: Dataset
    rendering: Rendering

    def make(self, teacher: TeacherPart) -> tuple[AnyTeacher, int | None]:
        views = {path: self._view(one, f"{path}signals") for path, one in teacher.members.items()}
        stores = {
            f"{path}signals": self._store(one.signals, f"{path}signals", views[path])
            for path, one in teacher.members.items()
            if one.signals
        }
        shared = [self._shared(word) for word in teacher.models.values()]
        shared += [shared_with_store(store, self.tokenizer, self._size) for store in stores.values()]
        vocabulary = None if self.kind in ("encoder", "classifier") else max(shared)
        answering = {
            path: self._answering(one, stores.get(f"{path}signals"), vocabulary, views[path])
            for path, one in teacher.members.items()
        }
        if not teacher.ensemble:
            return answering[""], vocabulary
        members = [
            Member(made, one.called, weight=one.weight, temperature=one.temperature, on=one.on)
            for made, one in zip(answering.values(), teacher.ensemble, strict=True)
        ]
        route = make_route(teacher, self.work.rows(self.step.rows))
        return EnsembleTeacher(members, mean=teacher.mean, route=route), vocabulary

    @property
    def _size(self) -> int:
        return int(self.student.config.get_text_config().vocab_size)

    def _shared(self, word: str) -> int:
        if self.kind in ("encoder", "classifier"):
            return self._size
        size = read_config(self.work.model_place(word)).get_text_config().vocab_size
        return shared_vocabulary(self.tokenizer, self.work.load_tokenizer(word), self._size, size).size

    def _live(self, one: TeacherPart | MemberPart, vocabulary: int | None) -> LocalTeacher:
        model = self.work.load_model(
            one.model, self.kind, self.label_names, pad=int(self.tokenizer.pad_token_id)
        )
        noise = one.noise if isinstance(one, TeacherPart) else 0.0
        return LocalTeacher(model, vocabulary, noise=noise, seed=self.step.seed).to(self.work.device)

    def _answering(
        self,
        one: TeacherPart | MemberPart,
        store: Signals | None,
        vocabulary: int | None,
        view: OwnView | None,
    ) -> LocalTeacher | StoredTeacher | OwnViewTeacher:
        teacher = self._live(one, vocabulary) if store is None else StoredTeacher(store, vocabulary)
        if view is None:
            return teacher
        assert vocabulary is not None, "only causal models read formats"
        rollouts = self.step.rollouts
        rows = view.viewed if rollouts is None else view.prompted(rollouts.prompt_tokens)
        return OwnViewTeacher(teacher, rows, ends=view.ends, vocabulary=vocabulary)

    def _view(self, one: TeacherPart | MemberPart, path: str) -> OwnView | None:
        """How the teacher reads the rows, where that is not how the student does."""
        if one.view == "student" or self.kind != "causal":
            return None
        if one.signals:
            signals = open_store(self.work.store_place(one.signals), f"teacher.{path}", verify=False)
            own = tokenizer_of_store(signals), captured_length(signals)
        else:
            config = read_config(self.work.model_place(one.model))
            own = self.work.load_tokenizer(one.model), positions_of(config)
        rows = self.work.rows(self.step.rows)
        reading = Reading(self.step.rows, rows, self.tokenizer, self.rendering, self.work.renderer)
        return reading.own_view(*own)

    def _store(self, word: str, path: str, view: OwnView | None) -> Signals:
        signals = open_store(self.work.store_place(word), f"teacher.{path}", verify=True)
        if view is None:
            check_rows(signals, row_checksums(self.rows), self.tokenizer, self.rendering)
        else:
            own = tokenizer_of_store(signals)
            check_rows(signals, row_checksums(view.rendered), own, view.rendering)
        return signals


def make_route(teacher: TeacherPart, rows: Dataset) -> ByColumn | ByLikelihood | None:
    """Who answers which of the rows, or None.

    Args:
        teacher: an ensemble.
        rows: with their ids, and the column that the route names.
    """
    if teacher.route is None:
        return None
    if not teacher.route.column:
        return ByLikelihood()
    column = teacher.route.column
    return ByColumn(column, dict(zip(rows["id"], map(str, rows[column]), strict=True)))


def live_models(teacher: AnyTeacher | None) -> list[Any]:
    """The models in memory that answer."""
    if isinstance(teacher, EnsembleTeacher):
        return [one.teacher.model for one in teacher.members if isinstance(one.teacher, LocalTeacher)]
    return [teacher.model] if isinstance(teacher, LocalTeacher) else []
