"""Whether the stores of a training answer its rows."""

from collections.abc import Mapping
from pathlib import Path

from datasets import Dataset

from limbeck.core.errors import ConfigError
from limbeck.core.kinds import kind_named, kinds_that
from limbeck.recipes.steps import Capture, Train
from limbeck.recipes.steps.step import path_of
from limbeck.runs.assembly.models import ModelInfo
from limbeck.runs.assembly.sources import rendering_of
from limbeck.runs.assembly.stores import (
    check_rows,
    check_shared,
    is_topk,
    open_store,
    row_checksums,
    shared_with_store,
    tokenizer_of_store,
)
from limbeck.runs.assembly.teachers.ensemble import check_topk
from limbeck.runs.assembly.views import OwnView
from limbeck.runs.checking.captured import capture_reading
from limbeck.runs.steps.look import Look


def topk_stores(at: Look, step: Train) -> dict[str, bool]:
    """Path of each store that a training reads -> whether it is of top-k."""
    return {path: is_topk(word, at.earlier) for path, word in step.named("store").items()}


def look_at_stores(
    at: Look, step: Train, student: ModelInfo, rendered: Dataset | None, views: Mapping[str, OwnView]
) -> None:
    """Refuse stores of other rows, tokens or vocabularies than the training's."""
    if step.named("store") and not kind_named(student.kind).storable:
        allowed, got = kinds_that("storable"), student.kind or "another"
        at.seen.problems.note(
            ConfigError(f"must be a model for a student that is not {allowed}, got a store and {got}."),
            f"{at.where}.teacher",
        )
        return
    for path, word in step.named("store").items():
        with at.at(path if step.teacher and not step.teacher.word else "teacher"):
            view = views.get(word)
            read = rendered if view is None else view.rendered
            capture = Capture.that_made(word, at.earlier)
            if capture is None:
                _look_at_folder(at, step, student, read, word, view)
            else:
                _look_at_capture(at, student, read, capture)
    with at.at("teacher"):
        check_topk(step.teacher, topk_stores(at, step))


def _look_at_folder(
    at: Look, step: Train, student: ModelInfo, read: Dataset | None, word: str, view: OwnView | None
) -> None:
    where = "signals" if step.teacher is not None and step.teacher.word else ""
    signals = open_store(Path(word).expanduser(), where, verify=False)
    tokenizer = at.known.tokenizer(student)
    shared_with_store(signals, tokenizer, student.vocabulary)
    if read is None:
        return
    rendering = rendering_of(step, "causal", task=step.task, label_names=())
    if view is not None:
        tokenizer, rendering = tokenizer_of_store(signals), view.rendering
    check_rows(signals, row_checksums(read), tokenizer, rendering)


def _look_at_capture(at: Look, student: ModelInfo, read: Dataset | None, capture: Capture) -> None:
    reading = capture_reading(capture, at.known)
    if reading is None:
        return
    teacher = at.seen.models.get(capture.teacher.word)
    if teacher is not None:
        at.check_vocabulary(student, teacher)
    else:
        check_shared(at.known.tokenizer(student), reading.tokenizer, student.vocabulary)
    if read is None or capture.rows not in at.rows:
        return
    rendering = rendering_of(capture, reading.kind, task=capture.task, label_names=())
    rows = at.seen.renderer.render(capture.rows, at.rows[capture.rows], reading.tokenizer, rendering)
    there = dict(row_checksums(rows))
    other = [name for name, value in row_checksums(read) if there.get(name) != value]
    if other:
        where = path_of(at.earlier.index(capture), capture)
        raise ConfigError(
            f"must read the rows as {where} does, got other tokens in {len(other):,} of "
            f"{len(read):,} rows ({other[0]}). Give both the same max_length and loss_on."
        )
