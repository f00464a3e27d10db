"""What each step of a recipe will do, in numbers: work, memory and disk, roughly."""

from dataclasses import dataclass

import torch

from limbeck.core.model_words import place_of
from limbeck.recipes.steps import Evaluate, Train
from limbeck.runs.assembly.models import ModelInfo, loaded_dtype
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.look import Survey

FLOAT = 4
"""Bytes of a float32."""

ADAM = 2
"""Moments a weight."""

FORWARD, BACKWARD = 2, 4
"""Floating point operations a weight and token."""

WRITING = 4 * FORWARD
"""Operations that writing a token takes as long as: it is bound by reading the weights once a batch."""

_ACTIVATIONS = 24  # numbers a token, layer and width unit keeps for the backward pass, roughly


@dataclass(frozen=True)
class PlannedStep:
    """One step in numbers; None where nothing is known or the step has no such thing.

    `disk` is what it keeps, `scratch` what lies there beside that while it works.
    """

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
    scratch: int = 0
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    is_done: bool = False


def notes_of_step(place: int, seen: Survey) -> tuple[str, ...]:
    """What the look at a step found worth saying."""
    said = (seen.vocabularies.get(place), seen.ends.get(place), *seen.notes.get(place, ()))
    return tuple(one for one in said if one is not None)


def read_seconds(shape: ModelInfo | None, tokens: int, length: int, rates: Rates) -> float:
    """Seconds in which a model reads so many tokens, in rows of a length."""
    cost = 0.0 if shape is None else rates.effective(shape, length)
    return FORWARD * cost * tokens / rates.operations


def read_bytes(words: list[str], seen: Survey) -> int:
    """Bytes of models that are read and not trained, each in the dtype it is loaded in."""
    shapes = {word: seen.models.get(word) or seen.models.get(place_of(word)) for word in words}
    return sum(
        shape.parameters * loaded_dtype(word, shape).itemsize
        for word, shape in shapes.items()
        if shape is not None
    )


def taught_by(step: Train | Evaluate) -> list[str]:
    """Words of the models that teach in a step."""
    return list(step.teacher.models.values()) if step.teacher else []


def training_memory(student: ModelInfo, dtype: torch.dtype, tokens: int) -> int:
    """Bytes that training needs beside the teachers, roughly: weights, gradients, moments, what is kept.

    Args:
        student: its shape.
        dtype: that it is trained in.
        tokens: of a batch.
    """
    return (1 + 1 + ADAM) * dtype.itemsize * student.parameters + FLOAT * kept_bytes(student, tokens)


def kept_bytes(shape: ModelInfo, tokens: int) -> int:
    """Bytes of what a forward pass over so many tokens keeps for the backward pass, roughly."""
    return _ACTIVATIONS * tokens * shape.depth * shape.width
