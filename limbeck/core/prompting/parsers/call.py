"""A parser with its settings, as a prompt file names it: `cue`, or `{name: cue, cue: "So the answer is"}`."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from limbeck.core.config import Config
from limbeck.core.lookup import unknown
from limbeck.core.prompting.parsers.entities import entities
from limbeck.core.prompting.parsers.instances import input_first, label_first
from limbeck.core.prompting.parsers.objects import json_object
from limbeck.core.prompting.parsers.reasoned import cue, whole
from limbeck.core.prompting.parsers.tasks import numbered, yes_or_no
from limbeck.core.prompting.parsers.verdicts import score, winner

Parser = Callable[..., dict[str, Any]]

PARSERS: Mapping[str, tuple[Parser, tuple[str, ...]]] = {
    "whole": (whole, ("answer",)),
    "cue": (cue, ("rationale", "answer", "reasoned")),
    "json_object": (json_object, ()),
    "numbered": (numbered, ("items",)),
    "yes_or_no": (yes_or_no, ("yes",)),
    "input_first": (input_first, ("instances",)),
    "label_first": (label_first, ("instances",)),
    "entities": (entities, ("entities",)),
    "score": (score, ("score", "critique")),
    "winner": (winner, ("winner", "critique")),
}
"""Every parser by name, with what it finds; nothing: what its settings say."""


class ParserCall(Config):
    """A parser by its name, and its settings beside."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, Mapping) or "name" not in value:
            raise ValueError(f"must be a parser such as cue or {{name: cue, cue: ...}}, got {value!r:.60}.")
        nested = value.get("options", {}) if set(value) <= {"name", "options"} else None
        others = {key: one for key, one in value.items() if key != "name"}
        return {"name": value["name"], "options": others if nested is None else nested}

    @model_validator(mode="after")
    def _is_known(self) -> "ParserCall":
        if self.name not in PARSERS:
            raise ValueError(unknown("parser", self.name, PARSERS))
        function, _ = PARSERS[self.name]
        settings = [
            one for one in inspect.signature(function).parameters.values() if one.kind is one.KEYWORD_ONLY
        ]
        problems = [
            unknown("setting", key, [one.name for one in settings])
            for key in self.options.keys() - {one.name for one in settings}
        ]
        problems += [
            f"{self.name} needs {one.name}."
            for one in settings
            if one.default is one.empty and one.name not in self.options
        ]
        hints = get_type_hints(function)
        for key in self.options.keys() & hints.keys():
            try:
                self.options[key] = TypeAdapter(hints[key]).validate_python(self.options[key])
            except ValidationError as error:
                allowed = error.errors()[0]["msg"].removeprefix("Input should be ").lower()
                problems.append(f"{key} must be {allowed}, got {self.options[key]!r}.")
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @property
    def finds(self) -> tuple[str, ...]:
        """Names of what it finds."""
        return PARSERS[self.name][1] or tuple(self.options.get("fields", ()))

    def parse(self, text: str) -> dict[str, Any]:
        """What it finds in an answer.

        Raises:
            ParseFailed: the answer is not as the prompt asks for.
        """
        return PARSERS[self.name][0](text, **self.options)
