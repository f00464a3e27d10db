"""The inputs of a recipe in words, read from its source: what may be given, the default, what it means."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from limbeck.core.catalogue import REQUIRED, Entry, class_fields, constant

_KINDS = {
    "int": "whole number",
    "float": "number",
    "str": "text",
    "bool": "true or false",
    "None": "null",
    "Rate": "auto or number above 0",
    "Share": "number from 0 to 1",
    "Columns": "mapping",
    "Data": "text",
    "StudentLike": "model",
    "TeacherLike": "model",
    "KindChoice": "auto or a kind of model",
    "MetricName": "metric",
}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_OF_STEPS = ("model_kind", "loss_on")
_WORDS = {None: "null", True: "true", False: "false"}


@dataclass(frozen=True)
class Input:
    """One input of a recipe.

    Attributes:
        name: as it is written before the equals sign.
        kind: what may be given, in words.
        default: as it would be written; `required` where there is none.
        meaning: in words.
    """

    name: str
    kind: str
    default: str
    meaning: str


def inputs_of(entry: Entry) -> list[Input]:
    """The inputs of a recipe, in the order of its signature."""
    shared = constant("limbeck.recipes.inputs", "MEANINGS")
    meanings = {**shared, **entry.meanings}
    return [
        Input(name, kind_of(entry.annotations[name]), written(default), meanings[name])
        for name, default in entry.keywords.items()
    ]


def settings() -> list[Input]:
    """What may be set in every train step at once."""
    from limbeck.core.kinds import kind_settings  # imports pydantic, which a list of names needs not

    declared = class_fields("limbeck.core.training", "TrainingSettings")
    steps = {one.name: one for one in class_fields("limbeck.recipes.steps.train", "Train")}
    every = [
        *(steps.get(one.name, one) for one in declared),
        *(steps[name] for name in _OF_STEPS),
        *(
            one
            for settings in kind_settings()
            for one in class_fields(settings.__module__, settings.__name__)
        ),
    ]
    return [Input(one.name, kind_of(one.annotation), written(one.default), one.about) for one in every]


def written(default: Any) -> str:
    """A default as a command line would give it."""
    if default == REQUIRED:
        return REQUIRED
    if isinstance(default, bool | None):
        return _WORDS[default]
    if isinstance(default, tuple | list):
        return f"[{', '.join(written(one) for one in default)}]"
    return str(default)


def kind_of(annotation: str) -> str:
    """What an annotation allows, in words."""
    return " or ".join(dict.fromkeys(_kinds(ast.parse(annotation, mode="eval").body)))


def _kinds(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.BinOp):
        yield from _kinds(node.left)
        yield from _kinds(node.right)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Tuple | ast.Constant):
        yield _subscripted(ast.unparse(node.value), node.slice)
    else:
        yield _KINDS.get(ast.unparse(node), ast.unparse(node))


def _subscripted(outer: str, inner: ast.Tuple | ast.Constant) -> str:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer == "Literal":
        return " or ".join(str(ast.literal_eval(part)) for part in parts)
    if outer == "Annotated" and isinstance(parts[1], ast.Call):
        bounds = [f"{_BOUNDS[str(one.arg)]} {ast.literal_eval(one.value)}" for one in parts[1].keywords]
        return f"{' or '.join(_kinds(parts[0]))} {' and '.join(bounds)}"
    return f"list of {' or '.join(_kinds(parts[0]))}"
