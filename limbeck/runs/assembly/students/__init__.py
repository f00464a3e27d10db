"""How the forms of student are looked at and made: the module with the name of the form."""

from dataclasses import replace
from importlib import import_module
from typing import Any

from limbeck.core.errors import ModelError, Problem
from limbeck.core.kinds import HEADLESS, KindName, kind_named
from limbeck.core.models import estimate_parameters, load_tokenizer
from limbeck.core.seeds import seed_everything
from limbeck.recipes.students import BYTES, Student
from limbeck.runs.assembly.models import ModelInfo, exported_dtype, located, tokenizer_of
from limbeck.runs.assembly.students.making import Making
from limbeck.students import retokenise, with_tokenizer


def made_info(student: Student, origin: ModelInfo, kind: KindName | None) -> ModelInfo:
    """The shape of the student that `student` describes, made from `origin`.

    Raises:
        ModelError: layers that are not there, sizes that do not go together, or a model that cannot be
            pruned.
    """
    made = _module(student).info(student, origin, kind or origin.kind)
    shape: ModelInfo = replace(made, saved=exported_dtype(student, origin.saved))
    return shape if student.tokenizer is None else _retokenised_info(student, shape)


def make_student(student: Student, making: Making) -> Any:
    """The model that `student` describes."""
    seed_everything(making.seed, "head")  # a class head that the folder lacks is drawn at loading
    model = _module(student).make(student, making)
    if student.tokenizer is None or not student.keeps_weights:
        return model
    return retokenise(model, load_tokenizer(making.place), tokenizer_of(student), seed=making.seed)


def said_of(student: Student, rows: str | None = None) -> str:
    """What the student is made of, in words; `rows` are those that it is made by."""
    said: str = _module(student).said(student, rows)
    return said if student.tokenizer is None else f"{said}, tokens of {student.tokenizer}"


def _module(student: Student) -> Any:
    return import_module(f"{__name__}.{student.form}")


def _retokenised_info(student: Student, shape: ModelInfo) -> ModelInfo:
    if student.keeps_weights and not kind_named(shape.kind).decoder_only:
        raise ModelError(
            Problem(
                "tokenizer",
                "must go with a causal model, whose embedding and head are carried over, got "
                f"{shape.kind or 'another'}. Start from new weights with {{fresh: DIR, tokenizer: ...}}.",
            )
        )
    assert student.tokenizer is not None
    tokenizer = tokenizer_of(student)
    if kind_named(shape.kind).decoder_only and tokenizer.eos_token_id is None:
        raise ModelError(
            Problem(
                "tokenizer",
                f"must have an end token, got none in {student.tokenizer}; a student could not learn to "
                "stop. Set eos_token in its tokenizer_config.json.",
            )
        )
    config = with_tokenizer(shape.config, tokenizer)
    word = student.tokenizer if student.tokenizer == BYTES else located(student.tokenizer)
    parameters = estimate_parameters(config, shape.kind or HEADLESS)
    return replace(shape, config=config, tokenizer=word, parameters=parameters)
