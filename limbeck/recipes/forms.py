"""Parts of recipes that come in forms, a class each: impossible combinations cannot be written."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Self

from pydantic import ModelWrapValidatorHandler, model_serializer, model_validator

from limbeck.core.config import Config


class Formed(Config):
    """Something that plain data names by one of several keys; a word alone stands for `{model: WORD}`.

    A base has `forms`, the classes by their keys; each of these has its key as `form`, is a field of that
    name, and has an `example`.
    """

    what: ClassVar[str] = ""
    forms: ClassVar[dict[str, Any]] = {}
    form: ClassVar[str] = ""
    example: ClassVar[str] = ""

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_form(cls, value: Any, build: ModelWrapValidatorHandler[Self]) -> Self:
        if cls.form or isinstance(value, Formed):
            return build(value)
        given = {"model": value} if isinstance(value, str) else cls._with_form(value)
        made: Self = cls._form_of(given).model_validate(given)
        return made

    @classmethod
    def _with_form(cls, value: Any) -> Any:
        """Plain data; what a misspelt form has, under the right one too, so that its spelling is reported."""
        if not isinstance(value, Mapping):
            return value
        given = cls._forms_in(value)
        known = {name for form in given for name in cls.forms[form].model_fields}
        for key in value:
            for form in get_close_matches(str(key), cls.forms, n=1) if key not in known else ():
                if form not in value and all(one in cls.forms[form].model_fields for one in given):
                    return {**value, form: value[key]}
        return value

    @classmethod
    def _forms_in(cls, value: Mapping[str, Any]) -> list[str]:
        """The forms whose keys are there; a key that is a field of another of them is no form."""
        given = [form for form in cls.forms if value.get(form)]
        return [
            form
            for form in given
            if not any(form in cls.forms[other].model_fields for other in given if other != form)
        ]

    @classmethod
    def _form_of(cls, value: Any) -> Any:
        """The class that plain data describes; refuses none, several, and a key of another one."""
        examples = ", ".join(one.example for one in cls.forms.values())
        if not isinstance(value, Mapping):
            raise ValueError(f"must be {cls.what} or one of {examples}, got {value!r}.")
        given = cls._forms_in(value)
        if len(given) != 1:
            raise ValueError(f"must be one of {examples}, got {' and '.join(given) or 'none of these'}.")
        kind = cls.forms[given[0]]
        for key in value:
            others = [form for form, one in cls.forms.items() if key in one.model_fields]
            if key not in kind.model_fields and key not in cls.forms and others:
                example = cls.forms[others[0]].example
                if f"{key}:" not in example:
                    example = f"{example.rstrip('}')}, {key}: ...}}"
                raise ValueError(
                    f"{key} goes with {' or '.join(others)}, for example {example}, got it with {given[0]}."
                )
        return kind

    def problems(self) -> Iterator[str]:
        """What is wrong with its own fields, one with another."""
        yield from ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
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


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.model_dump(mode="json", exclude_none=True) if isinstance(value, Config) else value
