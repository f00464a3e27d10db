"""The teacher of a training: a live model or a store, and the token ids it shares with the student."""

from typing import Any

from datasets import Dataset

from limbeck.core.models import ModelKind, read_config
from limbeck.recipes.model import Train
from limbeck.rows.rendering import Rendering
from limbeck.runs.steps.work import Work
from limbeck.runs.stores import check_rows, open_store, row_checksums, shared_with_store
from limbeck.teachers import ForeignTeacher, LocalTeacher, StoredTeacher, shared_vocabulary

AnyTeacher = LocalTeacher | StoredTeacher | ForeignTeacher


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
    """The teacher, and the number of token ids that both share (None: all of the student's).

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
    if step.teacher.signals:
        return _stored(step, work, student, tokenizer, rows, rendering)
    word = step.teacher.model
    model = work.load_model(word, kind, label_names)
    if kind in ("encoder", "classifier"):
        return LocalTeacher(model, None, noise=step.teacher.noise, seed=step.seed).to(work.device), None
    sizes = [
        read.get_text_config().vocab_size for read in (student.config, read_config(work.model_place(word)))
    ]
    shared = shared_vocabulary(tokenizer, work.load_tokenizer(word), *sizes)
    made = LocalTeacher(model, shared.size, noise=step.teacher.noise, seed=step.seed)
    return made.to(work.device), shared.size


def _stored(
    step: Train, work: Work, student: Any, tokenizer: Any, rows: Dataset, rendering: Rendering
) -> tuple[StoredTeacher, int]:
    assert step.teacher is not None
    signals = open_store(work.store_place(step.teacher.signals), "teacher.signals", verify=True)
    check_rows(signals, row_checksums(rows), tokenizer, rendering)
    shared = shared_with_store(signals, tokenizer, student.config.get_text_config().vocab_size)
    return StoredTeacher(signals, shared), shared
