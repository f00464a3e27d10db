"""`build`: make a student once, so that several trainings start from the same weights."""

from collections.abc import Iterator
from functools import partial

from limbeck.core.batch import Batch
from limbeck.core.kinds import kind_named
from limbeck.core.models import (
    count_parameters,
    kind_of,
    pad_with,
    read_config,
    said_dtype,
    save_model,
    saved_dtype,
)
from limbeck.recipes.steps import Build
from limbeck.runs import ranks
from limbeck.runs.assembly.models import (
    exported_dtype,
    said_of_dtypes,
    tokenizer_of,
)
from limbeck.runs.assembly.sources import ENTRIES, calibration_source
from limbeck.runs.assembly.students import made_info, make_student, said_of
from limbeck.runs.assembly.students.making import Making
from limbeck.runs.checking.model_infos import check_longest
from limbeck.runs.checking.planned import (
    BACKWARD,
    FLOAT,
    FORWARD,
    PlannedStep,
    kept_bytes,
    notes_of_step,
)
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import MODEL, StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey

VERSION = 2
"""Raised when the same step makes other students: what an earlier limbeck made is then made anew."""


def run(step: Build, work: StepContext) -> StepResult:
    """Write `model/` into the step's folder."""
    if ranks.is_main():
        place = work.model_place(step.student.origin)
        config = read_config(place)
        kind = kind_of(config)
        read = partial(_batches, step, work) if step.student.reads_rows else None
        model = make_student(step.student, Making(place, kind, step.seed, device=work.device, read=read))
        tokenizer = tokenizer_of(step.student, place)
        if kind_named(kind).has_classes:
            pad_with(model, int(tokenizer.pad_token_id))
        dtype = exported_dtype(step.student, saved_dtype(config))
        save_model(model, tokenizer, work.folder / MODEL, dtype=dtype)
        notes = (f"{count_parameters(model):,} parameters in {said_dtype(dtype)}.",)
    ranks.wait()
    return StepResult(notes=notes if ranks.is_main() else ())


def _batches(step: Build, work: StepContext) -> Iterator[Batch]:
    """The rows that a student is made by."""
    assert step.rows is not None, "checked with the recipe"
    tokenizer = work.load_tokenizer(step.student.origin)
    source, entries = calibration_source(work.rows(step.rows), step, tokenizer)
    batches = [entries[start : start + ENTRIES] for start in range(0, len(entries), ENTRIES)]
    for place, batch in enumerate(batches):
        work.advance(place / len(batches), "reading rows to prune by")
        yield source.batch(batch)


def look(at: Look, step: Build) -> None:
    """Find the shape of the student; refuse rows that its origin cannot read."""
    origin = at.info(step.student.origin, "student")
    if origin is None:
        return
    with at.at("student"):
        at.seen.models[step.out] = made_info(step.student, origin, None)
        at.note(*said_of_dtypes(step.student, at.seen.models[step.out], "made"))
    if step.rows in at.rows:
        source, entries = calibration_source(at.rows[step.rows], step, at.known.tokenizer(origin))
        lengths = [source.lengths[entry] for entry in entries]
        check_longest(max(lengths, default=0), origin)
        at.seen.entries[at.place] = len(entries), sum(lengths)


def plan(step: Build, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    shape, origin = seen.models.get(step.out), seen.models.get(step.student.origin)
    size = shape.parameters if shape else 0
    memory, seconds, tokens = size * FLOAT, None, None
    saved = FLOAT if shape is None else exported_dtype(step.student, shape.saved).itemsize
    if step.student.reads_rows and origin is not None:
        # The whole model is read forwards and, for gradients of activations only, half backwards.
        tokens = seen.entries.get(place, (0, 0))[1] or None
        memory += FLOAT * (origin.parameters + kept_bytes(origin, ENTRIES * step.max_length))
        seconds = (
            None
            if tokens is None
            else (FORWARD + BACKWARD / 2)
            * rates.effective(origin, step.max_length)
            * tokens
            / rates.operations
        )
    return PlannedStep(
        place,
        step.kind,
        step.out,
        said_of(step.student, step.rows),
        parameters=size or None,
        tokens=tokens,
        memory=memory,
        disk=size * saved,
        seconds=seconds,
        notes=notes_of_step(place, seen),
    )
