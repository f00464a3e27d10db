"""`build`: make a student once, so that several trainings start from the same weights."""

from collections.abc import Iterator
from typing import Any

from limbeck.core.batch import Batch
from limbeck.core.class_names import name_classes
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.model_words import model_word
from limbeck.core.models import (
    count_parameters,
    dtype_of,
    kind_of,
    load_model,
    load_tokenizer,
    pad_with,
    read_config,
    said_dtype,
    save_model,
    saved_dtype,
)
from limbeck.core.seeds import seed_everything
from limbeck.recipes.steps import Build
from limbeck.recipes.student import Student
from limbeck.runs import ranks
from limbeck.runs.known import check_longest
from limbeck.runs.models import (
    exported_dtype,
    kept_layers,
    made_shape,
    pruned_sizes,
    said_of_dtypes,
    tokenizer_of,
)
from limbeck.runs.planned import (
    BACKWARD,
    FLOAT,
    FORWARD,
    PlannedStep,
    kept_bytes,
    notes_of_step,
)
from limbeck.runs.rates import Rates
from limbeck.runs.sources import ENTRIES, calibration_source
from limbeck.runs.steps.look import Look, Survey
from limbeck.runs.steps.work import MODEL, Made, Work
from limbeck.students import (
    fresh,
    keep_layers,
    measure_importance,
    prune,
    retokenise,
    with_tokenizer,
)

VERSION = 2
"""Raised when the same step makes other students: what an earlier limbeck made is then made anew."""


def run(step: Build, work: Work) -> Made:
    """Write `model/` into the step's folder."""
    if ranks.is_main():
        place = work.model_place(step.student.origin)
        config = read_config(place)
        kind = kind_of(config)
        if step.student.prune is None:
            model = make_student(step.student, place, kind, seed=step.seed)
        else:
            model = _pruned(step, work)
        tokenizer = tokenizer_of(step.student, place)
        if kind_named(kind).has_classes:
            pad_with(model, int(tokenizer.pad_token_id))
        dtype = exported_dtype(step.student, saved_dtype(config))
        save_model(model, tokenizer, work.folder / MODEL, dtype=dtype)
        notes = (f"{count_parameters(model):,} parameters in {said_dtype(dtype)}.",)
    ranks.wait()
    return Made(notes=notes if ranks.is_main() else ())


def _pruned(step: Build, work: Work) -> Any:
    assert step.rows is not None, "checked with the recipe"
    word = step.student.origin
    model = load_model(work.model_place(word), "causal").to(work.device)
    source, entries = calibration_source(work.rows(step.rows), step, work.load_tokenizer(word))
    batches = [entries[start : start + ENTRIES] for start in range(0, len(entries), ENTRIES)]

    def read() -> Iterator[Batch]:
        for place, batch in enumerate(batches):
            work.advance(place / len(batches), "reading rows to prune by")
            yield source.batch(batch)

    importance = measure_importance(model, read(), by=step.student.importance or "gradient")
    pruned = prune(model, importance, pruned_sizes(step.student, model.config))
    return _with_tokenizer(step.student, pruned, work.model_place(word), step.seed)


def make_student(
    student: Student, place: str, kind: KindName, *, seed: int, label_names: tuple[str, ...] = ()
) -> Any:
    """The model that `student` describes, from the model at `place`."""
    seed_everything(seed, "head")  # a class head that the folder lacks is drawn at loading
    if student.fresh is not None:
        config = read_config(place)
        if student.tokenizer is not None:
            config = with_tokenizer(config, tokenizer_of(student))
        if label_names:
            name_classes(config, label_names)
        made = fresh(config, student.sizes, seed=seed, kind=kind)
        return made.to(dtype_of(model_word(place), made.dtype, "float32"))
    names = label_names if kind_named(kind).has_classes else None
    model = load_model(place, kind, label_names=names or None)
    if student.cut is not None:
        keep, decoder_keep = kept_layers(student, model.config)
        model = keep_layers(model, keep, decoder_keep=decoder_keep)
    return _with_tokenizer(student, model, place, seed)


def _with_tokenizer(student: Student, model: Any, place: str, seed: int) -> Any:
    if student.tokenizer is None:
        return model
    return retokenise(model, load_tokenizer(place), tokenizer_of(student), seed=seed)


def look(at: Look, step: Build) -> None:
    """Find the shape of the student; refuse rows that its origin cannot read."""
    origin = at.shape(step.student.origin, "student")
    if origin is None:
        return
    with at.at("student"):
        at.seen.models[step.out] = made_shape(step.student, origin, None)
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
    if step.student.prune is not None and origin is not None:
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
        "build",
        step.out,
        _made(step),
        parameters=size or None,
        tokens=tokens,
        memory=memory,
        disk=size * saved,
        seconds=seconds,
        notes=notes_of_step(place, seen),
    )


def _made(step: Build) -> str:
    student = step.student
    made = model_word(_made_from(step)).said if student.model is not None else _made_from(step)
    return made if student.tokenizer is None else f"{made}, tokens of {student.tokenizer}"


def _made_from(step: Build) -> str:
    student = step.student
    if student.model is not None:
        return student.model
    if student.cut is not None:
        return f"{model_word(student.cut).said}, layers {student.layers}"
    sizes = ", ".join(f"{name} {value}" for name, value in student.sizes.items())
    if student.prune is not None:
        share = f"{student.ratio:.0%} of its parameters away" if student.ratio is not None else sizes
        return f"{model_word(student.prune).said} pruned by {step.rows}, {share}"
    return f"new weights, shape of {model_word(student.fresh or '').said}" + (f", {sizes}" if sizes else "")
