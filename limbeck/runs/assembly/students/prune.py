"""A student that keeps the most important parts of a model."""

from dataclasses import replace
from typing import Any

from transformers import PreTrainedConfig

from limbeck.core.errors import ModelError, Problem
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.model_words import model_word
from limbeck.core.models import estimate_parameters, load_model
from limbeck.recipes.students import PrunedStudent
from limbeck.runs.assembly.models import ModelInfo
from limbeck.runs.assembly.students.making import Making
from limbeck.students import (
    PrunedSizes,
    measure_importance,
    prune,
    pruned_config,
    sizes_from_ratio,
    sizes_from_words,
)


def info(student: PrunedStudent, origin: ModelInfo, kind: KindName | None) -> ModelInfo:
    """That of the model with smaller sizes."""
    if kind is None or not kind_named(kind).decoder_only:
        raise ModelError(
            Problem(
                "prune",
                f"must be a causal model, whose loss says what matters, got {kind or 'another'}. "
                "Take some of its layers with {cut: DIR, layers: ...}.",
            )
        )
    config = pruned_config(origin.config, _sizes(student, origin.config))
    return replace(origin, config=config, kind=kind, parameters=estimate_parameters(config, kind), classes=())


def make(student: PrunedStudent, making: Making) -> Any:
    """The model without what matters least to the rows."""
    assert making.read is not None, "checked with the recipe"
    model = load_model(making.place, "causal").to(making.device)
    importance = measure_importance(model, making.read(), by=student.importance or "gradient")
    return prune(model, importance, _sizes(student, model.config))


def said(student: PrunedStudent, rows: str | None) -> str:
    """What is pruned, by what."""
    sizes = ", ".join(f"{name} {value}" for name, value in student.sizes.items())
    share = f"{student.ratio:.0%} of its parameters away" if student.ratio is not None else sizes
    return f"{model_word(student.prune).said} pruned by {rows}, {share}"


def _sizes(student: PrunedStudent, config: PreTrainedConfig) -> PrunedSizes:
    """What pruning leaves of the model that `config` describes.

    Raises:
        ModelError: sizes above the model's, heads that do not make whole groups, or an architecture that
            cannot be cut this way.
    """
    if student.ratio is not None:
        return sizes_from_ratio(config, student.ratio)
    return sizes_from_words(config, student.sizes)
