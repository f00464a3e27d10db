"""A student that keeps some layers of a model."""

from dataclasses import replace
from typing import Any

import torch
from transformers import PreTrainedConfig

from limbeck.core.errors import ModelError, Problem
from limbeck.core.kinds import HEADLESS, KindName
from limbeck.core.model_words import model_word
from limbeck.core.models import count_parameters
from limbeck.recipes.students import CutStudent
from limbeck.runs.assembly.models import (
    DECODER_DEPTHS,
    DEPTH,
    ENCODER_DEPTH,
    ModelInfo,
    decoder_depth,
    encoder_depth,
)
from limbeck.runs.assembly.students.making import Making
from limbeck.students import evenly_spaced, fresh, keep_layers


def info(student: CutStudent, origin: ModelInfo, kind: KindName | None) -> ModelInfo:
    """That of the model with fewer layers."""
    keep, decoder_keep = _kept(student, origin.config)
    sizes = {name: len(keep) for name in (DEPTH, ENCODER_DEPTH) if hasattr(origin.config, name)}
    sizes |= {name: len(decoder_keep or keep) for name in DECODER_DEPTHS if hasattr(origin.config, name)}
    with torch.device("meta"):
        made = fresh(origin.config, sizes, seed=0, kind=kind or HEADLESS)
    return replace(origin, config=made.config, kind=kind, parameters=count_parameters(made))


def make(student: CutStudent, making: Making) -> Any:
    """The model without its other layers."""
    model = making.load()
    keep, decoder_keep = _kept(student, model.config)
    return keep_layers(model, keep, decoder_keep=decoder_keep)


def said(student: CutStudent, rows: str | None) -> str:
    """Which layers of which model."""
    return f"{model_word(student.cut).said}, layers {student.layers}"


def _kept(student: CutStudent, config: PreTrainedConfig) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Layers that are kept, and of a seq2seq model's decoder the ones that are kept there.

    Raises:
        ModelError: a layer that the model does not have.
    """
    depth = encoder_depth(config)
    if isinstance(student.layers, int):
        keep = evenly_spaced(depth, student.layers)
        decoder = evenly_spaced(decoder_depth(config), student.layers) if config.is_encoder_decoder else None
        return keep, decoder
    outside = [layer for layer in student.layers if not 0 <= layer < depth]
    if outside:
        raise ModelError(
            Problem("layers", f"must lie between 0 and {depth - 1}, got {', '.join(map(str, outside))}.")
        )
    return student.layers, None
