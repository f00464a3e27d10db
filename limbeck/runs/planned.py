"""What each step of a recipe will do, in numbers: work, memory and disk, roughly."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from limbeck.core.model_words import model_word, place_of
from limbeck.core.rollouts import RolloutSettings
from limbeck.engine.order import steps_of
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Build, Capture, Evaluate, Generate, Load, Step, Train
from limbeck.recipes.steps.compare import Compare
from limbeck.runs import ranks
from limbeck.runs.learning_rates import note_of_rate
from limbeck.runs.models import Shape, exported_dtype, loaded_dtype, trained_dtype
from limbeck.runs.rates import Rates
from limbeck.runs.rollouts import written_by
from limbeck.runs.routers import router_weight
from limbeck.runs.sources import ENTRIES
from limbeck.runs.stores import predicted_bytes
from limbeck.runs.survey import Survey

FLOAT = 4
"""Bytes of a float32."""

ADAM = 2
"""Moments a weight."""

_ACTIVATIONS = 24  # numbers a token, layer and width unit keeps for the backward pass, roughly
_FORWARD, _BACKWARD = 2, 4  # floating point operations a weight and token
# Writing is bound by reading the weights once a token and batch, several times slower than a product.
_WRITING = 4 * _FORWARD
_BESIDE = 2.0  # seconds an evaluated model costs beside that: loading, timing, intervals


@dataclass(frozen=True)
class PlannedStep:
    """One step in numbers; None where nothing is known or the step has no such thing."""

    place: int
    kind: str
    out: str
    what: str
    rows: int | None = None
    parameters: int | None = None
    teacher_parameters: int | None = None
    optimizer_steps: int | None = None
    tokens: int | None = None
    memory: int | None = None
    disk: int = 0
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    is_done: bool = False


def planned(place: int, step: Step, seen: Survey, rates: Rates) -> PlannedStep:
    """A step in numbers."""
    if isinstance(step, Load):
        parts = [seen.rows.get(word) for word in step.words]
        sizes = [0 if part is None else len(part) for part in parts]
        stored = sum(int(part.data.nbytes) for part in parts if part is not None)
        watched = f", {sizes[1]:,} for validation" if sizes[1] else ""
        apart = f", {sizes[2]:,} held out" if step.heldout else ""
        what = f"{step.path}: {sizes[0]:,} rows{watched}{apart}"
        return PlannedStep(
            place, "load", step.out, what, rows=sum(sizes), disk=stored, notes=_notes(place, seen)
        )
    if isinstance(step, Build):
        return _planned_build(place, step, seen, rates)
    if isinstance(step, Generate):
        return _planned_generation(place, step, seen, rates)
    if isinstance(step, Capture):
        return _planned_capture(place, step, seen, rates)
    if isinstance(step, Train):
        return _planned_training(place, step, seen, rates)
    if isinstance(step, Compare):
        return PlannedStep(place, "compare", step.out, " and ".join(step.evaluations), seconds=0.0)
    assert isinstance(step, Evaluate)
    return _planned_evaluation(place, step, seen, rates)


def _notes(place: int, seen: Survey) -> tuple[str, ...]:
    said = (seen.vocabularies.get(place), seen.ends.get(place), *seen.notes.get(place, ()))
    return tuple(one for one in said if one is not None)


def _planned_build(place: int, step: Build, seen: Survey, rates: Rates) -> PlannedStep:
    shape, origin = seen.models.get(step.out), seen.models.get(step.student.origin)
    size = shape.parameters if shape else 0
    memory, seconds, tokens = size * FLOAT, None, None
    saved = FLOAT if shape is None else exported_dtype(step.student, shape.saved).itemsize
    if step.student.prune is not None and origin is not None:
        # The whole model is read forwards and, for gradients of activations only, half backwards.
        tokens = seen.entries.get(place, (0, 0))[1] or None
        memory += FLOAT * (origin.parameters + _kept(origin, ENTRIES * step.max_length))
        seconds = (
            None
            if tokens is None
            else (_FORWARD + _BACKWARD / 2)
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
        notes=_notes(place, seen),
    )


def _planned_generation(place: int, step: Generate, seen: Survey, rates: Rates) -> PlannedStep:
    teacher, rows = seen.models.get(step.teacher.word), seen.rows.get(step.rows)
    count = 0 if rows is None else len(rows) * step.samples
    tokens = count * step.max_new_tokens
    size = teacher.parameters if teacher else 0
    return PlannedStep(
        place,
        "generate",
        step.out,
        f"{model_word(step.teacher.word).said} generates completions for {step.rows}",
        rows=count,
        teacher_parameters=size or None,
        tokens=tokens,
        memory=_read_bytes([step.teacher.word], seen),
        disk=tokens * FLOAT,
        seconds=_written_seconds(teacher, tokens, rates),
        notes=_notes(place, seen),
    )


def _planned_capture(place: int, step: Capture, seen: Survey, rates: Rates) -> PlannedStep:
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
        "capture",
        step.out,
        f"{model_word(step.teacher.word).said} answers {step.rows}, kept as {step.payload.name}",
        rows=rows,
        teacher_parameters=size or None,
        tokens=tokens or None,
        memory=_read_bytes([step.teacher.word], seen),
        disk=stored,
        seconds=_read_seconds(teacher, tokens, step.max_length, rates),
        notes=(*notes, *_notes(place, seen)),
    )


def _planned_training(place: int, step: Train, seen: Survey, rates: Rates) -> PlannedStep:
    student = seen.models.get(step.out)
    teachers = [seen.models.get(word) for word in _taught_by(step)]
    objective = " + ".join(f"{_weight(term.weight)}{term.name}" for term in step.objective)
    what = f"{objective} on {step.rows}"
    notes = _notes(place, seen)
    if student is None:
        return PlannedStep(place, "train", step.out, what, notes=notes)
    kind = student.kind if step.model_kind == "auto" else step.model_kind
    notes += tuple(filter(None, [kind and note_of_rate(step, kind, student.parameters)]))
    entries, tokens_once = seen.entries.get(place, (0, 0))
    count = ranks.count()
    steps = steps_of(step, entries, count) if entries or step.max_steps > 0 else None
    in_one = step.per_device_train_batch_size * step.gradient_accumulation_steps * count
    tokens = None
    if steps is not None and entries:
        # Written rows take the place of the data's; beside them, there are about twice as many tokens.
        sides = 2 if step.corpus or (step.rollouts and step.rollouts.beside) else 1
        tokens = round(steps * in_one * tokens_once / entries) * sides
    size, taught = student.parameters, sum(shape.parameters for shape in teachers if shape)
    length = step.max_length
    learning = rates.effective(student, length)
    teaching = sum(rates.effective(shape, length) for shape in teachers if shape)
    work: float | None = None
    if tokens is not None:
        work = ((_FORWARD + _BACKWARD) * learning + _FORWARD * teaching) * tokens
        cut = in_one > step.per_device_train_batch_size
        if cut and router_weight(step.router_aux_loss_coef, student.config):
            work += _FORWARD * learning * tokens  # where tokens are routed is counted first
    if step.rollouts is not None and steps is not None:
        written = written_by(step.rollouts, steps=steps, rows=in_one)
        work = (work or 0.0) + _rollout_work(step.rollouts, written, learning, teaching)
        notes += (_rollout_note(written),)
    batch = step.per_device_train_batch_size * step.max_length
    trained = trained_dtype(step.student, student)
    return PlannedStep(
        place,
        "train",
        step.out,
        what,
        parameters=size,
        teacher_parameters=taught or None,
        optimizer_steps=steps,
        tokens=tokens,
        memory=training_memory(student, trained, batch) + _read_bytes(_taught_by(step), seen),
        disk=exported_dtype(step.student, student.saved).itemsize * size,
        seconds=None if work is None else work / (rates.operations * count),
        notes=notes,
    )


def _rollout_work(rollouts: RolloutSettings, written: Mapping[str, int], size: float, taught: float) -> float:
    """Operations beyond the step's own: completions as long as they may be, and passes that judge them."""
    writer = size + (taught if rollouts.guide_share else 0)
    work = float(_WRITING * (writer * written["student"] + taught * written["teacher"]))
    # A correction reads all and writes half anew; advantages read all once.
    work += rollouts.corrections * (_FORWARD * (size + taught) + _WRITING * size / 2) * written["student"]
    if rollouts.advantages is not None:
        work += _FORWARD * (size + taught) * written["student"]
    return work


def _rollout_note(written: Mapping[str, int]) -> str:
    parts = [f"{count:,} tokens by the {name}" for name, count in written.items() if count]
    return f"Rollouts generate at most {' and '.join(parts)}; this is part of the time."


def _planned_evaluation(place: int, step: Evaluate, seen: Survey, rates: Rates) -> PlannedStep:
    words = [step.model, step.baseline, *_taught_by(step)]
    shapes = [seen.models[word] for word in words if word is not None and word in seen.models]
    rows = seen.rows.get(step.rows)
    _, tokens = seen.entries.get(place, (0, 0))
    tokens = min(tokens, step.max_positions or tokens)
    turns = math.ceil(step.prompts / step.batch_size) * step.max_new_tokens
    turns = turns if "generation" in step.metrics else 0
    seconds = sum(
        _read_seconds(shape, tokens, step.max_length, rates) + rates.calls(shape, turns) for shape in shapes
    )
    return PlannedStep(
        place,
        "evaluate",
        step.out,
        f"{', '.join(step.metrics)} on {rows_in_words(step, seen.recipe)}",
        rows=None if rows is None else len(rows),
        tokens=tokens or None,
        memory=_read_bytes([word for word in words if word is not None], seen),
        seconds=seconds + _BESIDE * len(shapes),
        notes=_notes(place, seen),
    )


def _read_seconds(shape: Shape | None, tokens: int, length: int, rates: Rates) -> float:
    """Seconds in which a model reads so many tokens, in rows of a length."""
    cost = 0.0 if shape is None else rates.effective(shape, length)
    return _FORWARD * cost * tokens / rates.operations


def _written_seconds(shape: Shape | None, tokens: int, rates: Rates) -> float:
    """Seconds in which a model generates so many tokens, many prompts at a time."""
    cost = 0.0 if shape is None else rates.effective(shape, 1)
    return _WRITING * cost * tokens / rates.operations


def rows_in_words(step: Evaluate, recipe: Recipe) -> str:
    """The rows of an evaluation: their reference, or the data itself where no part of it was held out."""
    out = step.rows.partition(".")[0]
    for other in recipe.steps:
        if isinstance(other, Load) and other.out == out and not other.heldout:
            return f"all rows of {other.path}"
    return step.rows


def _read_bytes(words: list[str], seen: Survey) -> int:
    """Bytes of models that are read and not trained, each in the dtype it is loaded in."""
    shapes = {word: seen.models.get(word) or seen.models.get(place_of(word)) for word in words}
    return sum(
        shape.parameters * loaded_dtype(word, shape).itemsize
        for word, shape in shapes.items()
        if shape is not None
    )


def _taught_by(step: Train | Evaluate) -> list[str]:
    return list(step.teacher.models.values()) if step.teacher else []


def training_memory(student: Shape, dtype: torch.dtype, tokens: int) -> int:
    """Bytes that training needs beside the teachers, roughly: weights, gradients, moments, what is kept.

    Args:
        student: its shape.
        dtype: that it is trained in.
        tokens: of a batch.
    """
    return (1 + 1 + ADAM) * dtype.itemsize * student.parameters + FLOAT * _kept(student, tokens)


def _kept(shape: Shape, tokens: int) -> int:
    return _ACTIVATIONS * tokens * shape.depth * shape.width


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


def _weight(weight: object) -> str:
    return "" if weight == 1 else "scheduled " if isinstance(weight, dict) else f"{weight:g} "
