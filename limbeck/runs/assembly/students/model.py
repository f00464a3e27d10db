"""A student that is a model as it is."""

from dataclasses import replace
from typing import Any

from limbeck.core.kinds import KindName
from limbeck.core.model_words import model_word
from limbeck.recipes.students import ModelStudent
from limbeck.runs.assembly.models import ModelInfo
from limbeck.runs.assembly.students.making import Making


def info(student: ModelStudent, origin: ModelInfo, kind: KindName | None) -> ModelInfo:
    """That of the model."""
    return replace(origin, kind=kind)


def make(student: ModelStudent, making: Making) -> Any:
    """The model, loaded."""
    return making.load()


def said(student: ModelStudent, rows: str | None) -> str:
    """Its name."""
    return model_word(student.model).said
