"""The base of the forms of teacher: each is a class of its own, told apart by the key that names it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field, ModelWrapValidatorHandler, model_serializer, model_validator

from limbeck.core.config import Config
from limbeck.core.errors import Problem

View = Literal["own", "student"]
VIEW = "whose chat format it reads the rows in: that of its own tokenizer, or the student's"


class Teacher(Config):
    """Who answers. Plain data says by one of its keys (`form`) which subclass it is; a word is a `model`."""

    form: ClassVar[str] = ""
    example: ClassVar[str] = ""

    view: View = Field(default="own", description=VIEW)

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_form(cls, value: Any, build: ModelWrapValidatorHandler["Teacher"]) -> "Teacher":
        if cls is not Teacher or isinstance(value, Teacher):
            return build(value)
        given = {"model": value} if isinstance(value, str) else value
        return form_of(given).model_validate(given)

    @property
    def said(self) -> str:
        """What it is, in messages."""
        raise NotImplementedError

    @property
    def called(self) -> str:
        """Its name, in reports and in the columns of routes."""
        raise NotImplementedError

    @property
    def word(self) -> str:
        """The one thing that it names, a model or a store; empty where it names several."""
        return next(iter({**self.models, **self.stores}.values()), "")

    def gives(self) -> frozenset[str]:
        """What can be asked of it: keys of `CAPABILITIES`."""
        raise NotImplementedError

    @property
    def members(self) -> dict[str, "Teacher"]:
        """Who answers, by the path inside it: itself, under the empty path, unless it is several."""
        return {"": self}

    @property
    def models(self) -> dict[str, str]:
        """The models it names: path inside it -> folder, id or out of an earlier step."""
        return {}

    @property
    def stores(self) -> dict[str, str]:
        """The stores it names: path inside it -> folder, or out of a capture."""
        return {}

    def with_others(self, others: Mapping[str, "Teacher"]) -> "Teacher":
        """Itself with other teachers in the place of the models and stores that it names by these words."""
        words = {*self.models.values(), *self.stores.values()}
        found = next((others[word] for word in words if word in others), self)
        return found.model_copy(update={"view": self.view}) if found is not self else self

    def training_only(self) -> Iterator[Problem]:
        """What of it has a meaning in train steps alone, at paths inside the step."""
        yield from ()

    def group_problems(self, groups: Sequence[str]) -> Iterator[Problem]:
        """What of it is for groups of units that the rows do not have, at paths inside the step."""
        yield from ()

    def silent_on(self, groups: Sequence[str]) -> list[str]:
        """The groups of units that it does not answer."""
        return []

    def problems(self) -> Iterator[str]:
        """What is wrong with its own fields, one with another."""
        yield from ()

    @model_validator(mode="after")
    def _is_whole(self) -> "Teacher":
        found = list(self.problems())
        if found:
            raise ValueError(" ".join(found))
        return self

    def values(self) -> dict[str, Any]:
        """Its fields as plain data names them, the one that says its form first."""
        return {name: getattr(self, name) for name in dict.fromkeys((self.form, *type(self).model_fields))}

    @model_serializer
    def _short(self) -> dict[str, Any]:
        fields = type(self).model_fields
        given = {name: value for name, value in self.values().items() if value != fields[name].default}
        return {name: _plain(value) for name, value in given.items()}


FORMS: dict[str, type[Teacher]] = {}
"""Key that names a form -> its class; `recipes.teachers` lists them."""


def form_of(value: Any) -> type[Teacher]:
    """The class that plain data describes.

    Raises:
        ValueError: it names no form or several, or has a key of another form.
    """
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a model's folder or id, or one of {_examples()}, got {value!r}.")
    given = [form for form in FORMS if value.get(form)]
    if len(given) != 1:
        raise ValueError(f"must be one of {_examples()}, got {' and '.join(given) or 'none of these'}.")
    kind = FORMS[given[0]]
    for key in value:
        others = [form for form, one in FORMS.items() if key in one.model_fields]
        if key not in kind.model_fields and key not in FORMS and others:
            raise ValueError(
                f"{key} goes with {' or '.join(others)}, for example "
                f"{FORMS[others[0]].example.rstrip('}')}, {key}: ...}}, got it with {given[0]}."
            )
    return kind


def _examples() -> str:
    return ", ".join(one.example for one in FORMS.values())


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.model_dump(mode="json") if isinstance(value, Config) else value
