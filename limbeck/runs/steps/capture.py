"""`capture`: a teacher is asked about every row once, and what it says is kept."""

import torch

from limbeck.core.batch import Batch
from limbeck.core.decoder_start import decoder_start
from limbeck.core.errors import ModelError, Problem
from limbeck.core.files import write_folder
from limbeck.core.kinds import kind_named, kinds_that
from limbeck.core.model_words import model_word
from limbeck.core.models import model_fingerprint, quiet_transformers, read_config
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.outputs import Outputs
from limbeck.recipes.steps import Capture
from limbeck.rows.render import notes_of
from limbeck.rows.source import PaddedSource
from limbeck.runs import ranks
from limbeck.runs.assembly.sources import rendering_of
from limbeck.runs.assembly.stores import identity_of, positions_of, predicted_bytes, row_checksums, summary
from limbeck.runs.checking.model_infos import check_positions, kind_used
from limbeck.runs.checking.planned import (
    PlannedStep,
    notes_of_step,
    read_bytes,
    read_seconds,
)
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey
from limbeck.signals.capture import capture as run_capture
from limbeck.signals.layout import TOKENIZER
from limbeck.signals.manifest import Manifest
from limbeck.teachers import LocalTeacher

VERSION = 4
"""Raised when the same step makes other stores: what an earlier limbeck made is then made anew."""


def run(step: Capture, work: StepContext) -> StepResult:
    """Write the store into the step's folder, or where the step says; goes on where it was interrupted."""
    place = work.model_place(step.teacher.word)
    kind = work.kind(step.model_kind, step.teacher.word)
    tokenizer = work.load_tokenizer(step.teacher.word)
    rendering = rendering_of(step, kind, task=step.task, label_names=())
    rendered = work.renderer.render(step.rows, work.rows(step.rows), tokenizer, rendering)
    config = read_config(place)
    source = PaddedSource(rendered, rendering, int(tokenizer.pad_token_id), decoder_start(config, tokenizer))
    columns = int(config.get_text_config().vocab_size)
    # Padding of the head is no outcome; stored whole heads are cut when they are read.
    spoken = (
        None if step.payload.hidden is not None else min(columns, 1 + max(tokenizer.get_vocab().values()))
    )
    identity = identity_of(
        step,
        version=VERSION,
        weights=model_fingerprint(place),
        tokenizer=tokenizer,
        rendering=rendering,
        rows=row_checksums(rendered),
        vocabulary=spoken or columns,
    )
    folder = work.store_place(step.out, work.recipe.steps[: work.place + 1])
    teacher = LocalTeacher(work.load_model(step.teacher.word, kind), spoken).to(work.device)

    def answer(batch: Batch) -> Outputs:
        with torch.autocast(work.device.type, torch.bfloat16, enabled=step.bf16):
            return teacher.answer(batch, DISTRIBUTION)

    def save_tokenizer() -> None:
        with quiet_transformers():
            write_folder(folder / TOKENIZER, lambda temporary: tokenizer.save_pretrained(temporary))

    run_capture(
        folder,
        identity,
        tokens=source.lengths,
        batch_of=lambda rows: source.batch(rows).to(work.device),
        answer=answer,
        batch_tokens=step.batch_tokens,
        rank=ranks.state().process_index,
        ranks=ranks.count(),
        wait=ranks.wait,
        prepare=save_tokenizer,
        progress=lambda share: work.advance(share, "asking the teacher"),
    )
    manifest = Manifest.read(folder)
    return StepResult(tokens=manifest.tokens, notes=(*notes_of(rendered), summary(manifest)))


def look(at: Look, step: Capture) -> None:
    """Refuse a teacher that gives no tokens, and rows that are too long for it."""
    teacher = at.info(step.teacher.word, "teacher.model")
    if teacher is None:
        return
    kind = kind_used(step.model_kind, teacher)
    if not kind_named(kind).storable:
        allowed = kinds_that("storable")
        raise ModelError(Problem("teacher.model", f"must be {allowed} to be captured, got {kind}."))
    if step.rows in at.rows:
        rendering = rendering_of(step, kind, task=step.task, label_names=())
        rendered = at.render(step.rows, teacher, rendering)
        check_positions(rendered, teacher)
        at.note_form(step.rows, kind, teacher, rendered)
        lengths = [len(ids) for ids in rendered["input_ids"]]
        at.seen.entries[at.place] = (len(lengths), sum(lengths))
        at.seen.positions[at.place] = positions_of(rendered)


def plan(step: Capture, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    teacher = seen.models.get(step.teacher.word)
    rows, tokens = seen.entries.get(place, (0, 0))
    positions = seen.positions.get(place, 0)
    size = teacher.parameters if teacher else 0
    stored, notes = 0, []
    if teacher is not None and positions:
        stored = predicted_bytes(step.payload, positions, vocabulary=teacher.vocabulary, width=teacher.width)
        each = f"{stored / positions:,.0f} bytes each"
        notes.append(
            f"{positions:,} positions kept, at most about {each}; `limbeck signals rehearse` measures it."
        )
    return PlannedStep(
        place,
        step.kind,
        step.out,
        f"{model_word(step.teacher.word).said} answers {step.rows}, kept as {step.payload.name}",
        rows=rows,
        teacher_parameters=size or None,
        tokens=tokens or None,
        memory=read_bytes([step.teacher.word], seen),
        disk=stored,
        seconds=read_seconds(teacher, tokens, step.max_length, rates),
        notes=(*notes, *notes_of_step(place, seen)),
    )
