"""Words for models: a folder, a hub id or the out of a step, and how it is to be read.

`DIR?dtype=bfloat16&revision=v1.0` is how `{model: DIR, dtype: bfloat16, revision: v1.0}` travels as one text;
most words have no options and are the place alone. Knows neither torch nor transformers.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import parse_qsl, quote, urlencode

DtypeName = Literal["auto", "float32", "bfloat16", "float16"]

OPTIONS = ("dtype", "revision", "gguf_file", "trust_remote_code")
_TAIL = re.compile(rf"\?((?:(?:{'|'.join(OPTIONS)})=[^?&]*&?)+)$")


@dataclass(frozen=True)
class ModelWord:
    """A model and how it is read.

    Attributes:
        place: folder, hub id, or the out of a step.
        dtype: that its weights are loaded in; empty: what the reader takes by default, `auto`: the dtype they
            were saved in.
        revision: branch, tag or commit on the hub; empty: the newest.
        gguf_file: the file in the folder that holds it in GGUF; empty: none.
        trust_remote_code: whether code that lies beside the weights may be run.
    """

    place: str
    dtype: str = ""
    revision: str = ""
    gguf_file: str = ""
    trust_remote_code: bool = False

    @property
    def joined(self) -> str:
        """As one text, that `model_word` reads."""
        given = {name: value for name, value in asdict(self).items() if name in OPTIONS and value}
        if self.trust_remote_code:
            given["trust_remote_code"] = "true"
        return f"{self.place}?{urlencode(given, quote_via=quote, safe='/')}" if given else self.place

    @property
    def said(self) -> str:
        """As people read it."""
        parts = (self.gguf_file, self.revision and f"revision {self.revision}", self.dtype)
        given = ", ".join(part for part in parts if part)
        return f"{self.place} ({given})" if given else self.place

    def fields(self) -> dict[str, Any]:
        """The options that were given, by name."""
        return {name: value for name in OPTIONS if (value := getattr(self, name))}

    def without(self, *options: str) -> "ModelWord":
        """The same place, some options left open."""
        given = {name: value for name, value in self.fields().items() if name not in options}
        return ModelWord(self.place, **given)


def model_word(text: str | Path) -> ModelWord:
    """What a text says of a model; a place without options is itself."""
    text = str(text)
    found = _TAIL.search(text)
    if found is None:
        return ModelWord(text)
    options: dict[str, Any] = dict(parse_qsl(found[1]))
    options["trust_remote_code"] = options.get("trust_remote_code") == "true"
    return ModelWord(text[: found.start()], **options)


def place_of(text: str | Path) -> str:
    """The folder, id or out of a model's word, without how it is read."""
    return model_word(text).place


def word_from(value: Any, *, key: str = "model") -> Any:
    """A word from `{model: DIR, dtype: ...}`; anything else is given back as it is.

    Raises:
        ValueError: an unknown key, or an option that cannot be.
    """
    if not isinstance(value, Mapping):
        return value
    unknown = [name for name in value if name not in (key, *OPTIONS)]
    if unknown or not isinstance(value.get(key), str):
        raise ValueError(
            f"must be a folder or hub id, or {{{key}: DIR_OR_ID}} with {', '.join(OPTIONS)}; "
            f"got {dict(value)}."
        )
    problems = option_problems(value)
    if problems:
        raise ValueError(" ".join(problems))
    return with_options(value[key], value).joined


def with_options(text: str, options: Mapping[str, Any]) -> ModelWord:
    """A word with the options among `options` that are given there."""
    given = {name: options[name] for name in OPTIONS if options.get(name)}
    return replace(model_word(text), **given)


def option_problems(options: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values of options."""
    found = []
    dtypes = get_args(DtypeName)
    if options.get("dtype") and options["dtype"] not in dtypes:
        found.append(f"dtype must be one of {', '.join(dtypes)}, got {options['dtype']!r}.")
    for name in ("revision", "gguf_file"):
        if not isinstance(options.get(name) or "", str):
            found.append(f"{name} must be text, got {options[name]!r}.")
    if not isinstance(options.get("trust_remote_code") or False, bool):
        found.append(f"trust_remote_code must be true or false, got {options['trust_remote_code']!r}.")
    return found
