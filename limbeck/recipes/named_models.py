"""How recipes name a model: a word, or `{model: DIR, dtype: bfloat16}` with how it is to be read."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from limbeck.core.config import Config
from limbeck.core.model_words import OPTIONS, DtypeName, model_word, with_options, word_from

FORMS = ("model", "cut", "prune", "fresh")
"""The keys that name a model; a student has one of them, a teacher `model`."""


class NamesModel(Config):
    """A part that names a model; how it is read travels in the word itself (`core.model_words`)."""

    dtype: DtypeName | None = Field(default=None, description="of its weights; none or auto: as saved")
    revision: str = Field(default="", description="branch, tag or commit on the hub")
    gguf_file: str = Field(default="", description="the file in the folder that holds it as GGUF")
    trust_remote_code: bool = Field(default=False, description="run the Python code that lies beside it")


def with_words(value: Any) -> Any:
    """Plain data of a part in which the model's word holds the options beside it, and the fields say them.

    A word alone is `{model: WORD}`.
    """
    if isinstance(value, str):
        value = {"model": value}
    if not isinstance(value, Mapping):
        return value
    found = dict(value)
    for form in FORMS:
        if isinstance(found.get(form), str) and found[form]:
            word = with_options(found[form], found)
            found |= {form: word.joined, **word.fields()}
    return found


def without_words(values: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse of `with_words`: the place under its key, the options that are given beside it."""
    found = {name: value for name, value in values.items() if name not in OPTIONS}
    for form in FORMS:
        if isinstance(found.get(form), str) and found[form]:
            word = model_word(found[form])
            found |= {form: word.place, **word.fields()}
    return found


def _as_plain(word: str) -> Any:
    options = model_word(word).fields()
    return {"model": model_word(word).place, **options} if options else word


Word = Annotated[str, BeforeValidator(word_from), PlainSerializer(_as_plain)]
"""A model where a step names one: a folder, a hub id, an out, or a mapping with how it is read."""
