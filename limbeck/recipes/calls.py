"""A function of a catalogue with its settings, as frozen data: `{name: length, max: 200}`."""

from collections.abc import Iterator
from typing import Any, ClassVar, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError, model_serializer, model_validator

from limbeck.core.catalogue import REQUIRED, Entry, catalogue
from limbeck.core.config import Config
from limbeck.core.lookup import unknown
from limbeck.recipes.terms import folded


class Call(Config):
    """A function by its name, and its keyword arguments beside; a name alone takes all defaults."""

    package: ClassVar[str]
    """Folder of limbeck that lists the functions."""

    noun: ClassVar[str]
    """What one of them is called, in messages."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return folded(cls, {"name": value} if isinstance(value, str) else value)

    @model_serializer
    def _beside(self) -> Any:
        return {"name": self.name, **self.options} if self.options else self.name

    @model_validator(mode="after")
    def _is_known(self) -> "Call":
        entries = catalogue(self.package)
        if self.name not in entries:
            raise ValueError(unknown(self.noun, self.name, entries))
        entry = entries[self.name]
        problems = [
            *(unknown("option", key, entry.keywords) for key in self.options if key not in entry.keywords),
            *_missing(self.options, entry),
            *_wrong(self.options, entry),
        ]
        if problems:
            raise ValueError(" ".join(problems))
        return self

    @property
    def entry(self) -> Entry:
        """The function's place, signature and docstring."""
        return catalogue(self.package)[self.name]


class OperatorCall(Call):
    """An operator with its settings."""

    package: ClassVar[str] = "operators"
    noun: ClassVar[str] = "operator"


class GateCall(Call):
    """A gate with its settings."""

    package: ClassVar[str] = "gates"
    noun: ClassVar[str] = "gate"


def _missing(options: dict[str, Any], entry: Entry) -> Iterator[str]:
    for name, default in entry.keywords.items():
        if default == REQUIRED and name not in options:
            yield f"{entry.name} needs {name}: {entry.meanings.get(name, 'it has no default')}"


def _wrong(options: dict[str, Any], entry: Entry) -> Iterator[str]:
    """Values of another type than the function declares, or outside its bounds."""
    hints = get_type_hints(entry.load(), include_extras=True) if options else {}
    for name in options.keys() & entry.keywords.keys():
        try:
            TypeAdapter(hints[name]).validate_python(options[name])
        except ValidationError as error:
            allowed = error.errors()[0]["msg"].removeprefix("Input should be ").lower()
            yield f"{name} must be {allowed}, got {options[name]!r}."
