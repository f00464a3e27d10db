"""Columns as they were found: no value is guessed to be of another type, and no null is added to one."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Form = Literal["plain", "number", "json"]
_CHUNK = 4096  # rows that are Python objects at a time


class Number(float):
    """A number of a JSON text that knows how it was written."""

    __slots__ = ("written",)
    written: str

    def __new__(cls, written: str) -> Self:
        """The number that `written` says."""
        number = super().__new__(cls, written)
        number.written = written
        return number


_decode = json.JSONDecoder(parse_float=Number).decode


@dataclass(frozen=True)
class Column:
    """Values of one column.

    Attributes:
        values: as Arrow holds them; with another form than `plain`, texts.
        form: `plain`: values are what they are; `number`: numbers as they were written; `json`: lists,
            objects or a mixture, each as JSON.
    """

    values: pa.ChunkedArray
    form: Form = "plain"

    def __len__(self) -> int:
        return len(self.values)

    def take(self, places: NDArray[np.int64] | Sequence[int]) -> "Column":
        """The rows at `places`."""
        return replace(self, values=self.values.take(pa.array(places, pa.int64())))

    def objects(self) -> Iterator[Any]:
        """Row by row what was written: without the keys that Arrow adds to objects, as null."""
        for start in range(0, len(self.values), _CHUNK):
            some = self.values.slice(start, _CHUNK).to_pylist()
            if self.form == "json":
                yield from (None if one is None else _decode(one) for one in some)
            elif self.form == "number":
                yield from (None if one is None else Number(one) for one in some)
            else:
                nested = pa.types.is_nested(self.values.type)
                yield from (without_nulls(one) for one in some) if nested else some

    def texts(self) -> "Texts":
        """Every value as text: numbers as they were written, dates as they are printed."""
        kind = self.values.type
        if self.form == "number" or (self.form == "plain" and pa.types.is_string(kind)):
            return Texts(self.values)
        if self.form == "json" or pa.types.is_nested(kind) or pa.types.is_binary(kind):
            return _each_as_text(self.objects())
        if pa.types.is_floating(kind):
            return Texts(pa.chunked_array([_as_printed(self.values)], pa.string()))
        if pa.types.is_boolean(kind):
            return Texts(pc.if_else(self.values, "True", "False"))
        return Texts(self.values.cast(pa.string()))

    def plain(self) -> pa.ChunkedArray:
        """For a column that nothing is done with: numbers as numbers, nested values of texts as JSON."""
        return self.values.cast(pa.float64()) if self.form == "number" else self.values


@dataclass(frozen=True)
class Texts:
    """Texts of a column, and which rows hold something that is none."""

    values: pa.ChunkedArray
    wrong: Mapping[int, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """Rows from one place.

    Attributes:
        columns: by name, in the order they were found.
        origins: [rows] of each row the file and line that it is from.
        classes: of a column that held class ids, the names of all classes in the order of the ids.
        broken: lines that could not be read -> why.
    """

    columns: Mapping[str, Column]
    origins: pa.ChunkedArray
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.origins)

    def take(self, places: NDArray[np.int64] | Sequence[int]) -> "Part":
        """The rows at `places`."""
        columns = {name: column.take(places) for name, column in self.columns.items()}
        return replace(self, columns=columns, origins=self.origins.take(pa.array(places, pa.int64())))

    def without(self, names: Iterable[str]) -> "Part":
        """Without these columns."""
        gone = set(names)
        return replace(self, columns={name: one for name, one in self.columns.items() if name not in gone})

    def having(self, columns: Mapping[str, Column]) -> "Part":
        """With these columns, added or in the place of others."""
        return replace(self, columns={**self.columns, **columns})


def texts_column(values: Sequence[str | None]) -> Column:
    """A column of texts."""
    return Column(pa.chunked_array([pa.array(values, pa.string())], pa.string()))


def origins_of(name: str, numbers: Sequence[int] | NDArray[np.int64]) -> pa.ChunkedArray:
    """`name:number` of each row."""
    texts = pa.array(numbers, pa.int64()).cast(pa.string())
    return pa.chunked_array([pc.binary_join_element_wise(name, texts, ":")], pa.string())


def without_nulls(value: Any) -> Any:
    """A nested value without the keys that are null; nulls in lists stay."""
    if isinstance(value, dict):
        return {key: without_nulls(one) for key, one in value.items() if one is not None}
    if isinstance(value, list):
        if value and all(isinstance(one, tuple) for one in value):  # an Arrow map
            return {key: without_nulls(one) for key, one in value}
        return [without_nulls(one) for one in value]
    return value


def _each_as_text(values: Iterable[Any]) -> Texts:
    texts: list[str | None] = []
    wrong: dict[int, Any] = {}
    for place, value in enumerate(values):
        write = _WRITTEN.get(type(value))
        texts.append(write(value) if write else None)
        if write is None:
            wrong[place] = value
    return Texts(pa.chunked_array([pa.array(texts, pa.string())], pa.string()), wrong)


_WRITTEN: Mapping[type, Callable[[Any], str | None]] = {
    type(None): lambda value: None,
    str: lambda value: value,
    int: str,
    bool: str,
    float: lambda value: None if value != value else repr(value),  # NaN is how pandas writes nothing
    Number: lambda value: value.written,
}


def _as_printed(values: pa.ChunkedArray) -> pa.Array:
    """Floats as Python prints them, as whole numbers where all are: a null makes floats of whole numbers."""
    numbers = [None if one != one else one for one in values.to_pylist()]  # NaN is pandas' nothing
    known = [one for one in numbers if one is not None]
    if all(one.is_integer() for one in known):
        return pa.array([None if one is None else str(int(one)) for one in numbers], pa.string())
    return pa.array([None if one is None else repr(one) for one in numbers], pa.string())
