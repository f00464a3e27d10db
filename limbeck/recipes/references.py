"""The words in a recipe that name things: models, rows, stores, evaluations, and where they stand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from limbeck.core.config import Config

What = Literal["rows", "model", "store", "evaluation", "tokenizer", "data", "column"]
HELDOUT = "heldout"


@dataclass(frozen=True)
class Names:
    """Marks a field whose words name things: `rows: Annotated[str, Names("rows")]`.

    Attributes:
        what: is named.
        heldout: whether rows that were held out may be read.
        instead: the part of rows to take in the place of held-out ones.
    """

    what: What
    heldout: bool = False
    instead: str = "train"


@dataclass(frozen=True)
class Unfolded:
    """Marks a part whose keys stand beside those of what holds it, in plain data and in paths."""


@dataclass(frozen=True)
class Reference:
    """One word that names something.

    Attributes:
        path: inside the step: `teacher.ensemble.0.model`.
        word: as it is written: an out, a part of rows, a folder, an id.
        names: what it may name.
    """

    path: str
    word: str
    names: Names


def references(part: Config) -> Iterator[Reference]:
    """All references in a configuration and the parts inside it, in the order of the fields."""
    for name, field in type(part).model_fields.items():
        if any(isinstance(mark, Unfolded) for mark in field.metadata):
            yield from references(getattr(part, name))
            continue
        marks = [
            mark for mark in (*field.metadata, *_inner_marks(field.annotation)) if isinstance(mark, Names)
        ]
        yield from references_in(getattr(part, name), name, marks[0] if marks else None)


def _inner_marks(annotation: Any) -> Iterator[Any]:
    """Marks of what a list or a union holds: `tuple[Annotated[str, Names("rows")], ...]`."""
    yield from getattr(annotation, "__metadata__", ())
    for inner in get_args(annotation):
        yield from _inner_marks(inner)


def references_in(value: Any, path: str, names: Names | None) -> Iterator[Reference]:
    """The references in the value of a field at a path; `names` is the field's own mark."""
    if isinstance(value, Config):
        for one in references(value):
            yield Reference(f"{path}.{one.path}", one.word, one.names)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from references_in(inner, f"{path}.{key}", names)
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from references_in(inner, f"{path}.{place}", names)
    elif names is not None and isinstance(value, str) and value:
        yield Reference(path, value, names)
