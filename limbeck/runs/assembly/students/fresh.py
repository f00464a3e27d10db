"""A student with new weights."""

from dataclasses import replace
from typing import Any

import torch

from limbeck.core.class_names import name_classes
from limbeck.core.kinds import HEADLESS, KindName
from limbeck.core.model_words import model_word
from limbeck.core.models import count_parameters, dtype_of, read_config
from limbeck.recipes.students import FreshStudent
from limbeck.runs.assembly.models import ModelInfo, tokenizer_of
from limbeck.runs.assembly.students.making import Making
from limbeck.students import fresh, with_tokenizer


def info(student: FreshStudent, origin: ModelInfo, kind: KindName | None) -> ModelInfo:
    """That of the model with other sizes."""
    with torch.device("meta"):
        made = fresh(origin.config, dict(student.sizes), seed=0, kind=kind or HEADLESS)
    return replace(origin, config=made.config, kind=kind, parameters=count_parameters(made))


def make(student: FreshStudent, making: Making) -> Any:
    """Random weights, with the classes and tokens that are asked for."""
    config = read_config(making.place)
    if student.tokenizer is not None:
        config = with_tokenizer(config, tokenizer_of(student))
    if making.label_names:
        name_classes(config, making.label_names)
    made = fresh(config, student.sizes, seed=making.seed, kind=making.kind)
    return made.to(dtype_of(model_word(making.place), made.dtype, "float32"))


def said(student: FreshStudent, rows: str | None) -> str:
    """Whose shape it has."""
    sizes = ", ".join(f"{name} {value}" for name, value in student.sizes.items())
    return f"new weights, shape of {model_word(student.fresh).said}" + (f", {sizes}" if sizes else "")
