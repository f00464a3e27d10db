"""What is known of a row before its texts are read: the columns that filters and lineage need."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from limbeck.core.errors import RowError
from limbeck.core.lineage import COST, ID, OPERATOR, PARENTS, TEACHER, TOKENS_IN, TOKENS_OUT, VERDICTS
from limbeck.rows.kinds import kind_of
from limbeck.view.plain import characters
from limbeck.view.sources import Status

_ASKED_FOR = "request"
"""Gate of rows whose request failed."""

_LONGEST = 200  # characters of a reason that is told apart from others
_SAMPLE = re.compile(r"(.+)~\d+")


class IndexColumns:
    """Columns of some rows, filled a row at a time.

    Words that occur often are written once: a column of words is a list of `words` and a `codes` entry a row.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, list[float | None]] = {
            name: [] for name in ("characters", TOKENS_IN, TOKENS_OUT, COST)
        }
        self._words: dict[str, dict[str, int]] = {name: {} for name in ("kind", OPERATOR, TEACHER)}
        self._codes: dict[str, list[int]] = {name: [] for name in self._words}
        self._refusals: dict[tuple[str, str], int] = {}
        self._refused: list[list[int]] = []
        self._ids: list[str] = []
        self._parents: list[list[str]] = []
        self._kinds: dict[tuple[str, ...], str] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, row: Mapping[str, Any], *, number: int, status: Status, samples: bool) -> None:
        """Take in a row.

        Args:
            row: plain.
            number: its place in its part, which is its name where it has no id.
            status: what became of it.
            samples: ids such as `7~2` are of samples of the row `7`.
        """
        own = str(row.get("row_id" if status == "failed" else ID) or f"#{number}")
        self._ids.append(own)
        self._parents.append(_parents(row, own, samples))
        self._numbers["characters"].append(characters(row))
        for name in (TOKENS_IN, TOKENS_OUT, COST):
            self._numbers[name].append(_number(row.get(name)))
        words = {"kind": self._kind(row, status), **{name: row.get(name) for name in (OPERATOR, TEACHER)}}
        for name, word in words.items():
            known = self._words[name]
            self._codes[name].append(known.setdefault(word, len(known)) if isinstance(word, str) else -1)
        refusals = _refusals(row, status)
        self._refused.append([self._refusals.setdefault(one, len(self._refusals)) for one in refusals])

    def plain(self) -> dict[str, Any]:
        """All columns as plain data."""
        return {
            "ids": self._ids,
            "parents": self._parents,
            **self._numbers,
            **{
                name: {"words": list(self._words[name]), "codes": codes}
                for name, codes in self._codes.items()
            },
            "refused": {"words": [list(pair) for pair in self._refusals], "codes": self._refused},
        }

    def _kind(self, row: Mapping[str, Any], status: Status) -> str:
        if status == "failed":
            return "failure"
        names = tuple(row)
        if names not in self._kinds:
            try:
                self._kinds[names] = kind_of(names).value
            except RowError:
                self._kinds[names] = "other"
        return self._kinds[names]


def _parents(row: Mapping[str, Any], own: str, samples: bool) -> list[str]:
    told = row.get(PARENTS)
    if isinstance(told, list):
        return [str(one) for one in told if one is not None]
    sample = _SAMPLE.fullmatch(own) if samples else None
    return [sample[1]] if sample else []


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None


def _refusals(row: Mapping[str, Any], status: Status) -> Iterable[tuple[str, str]]:
    """Gate and reason of every verdict that did not let the row pass."""
    if status == "failed":
        return [(_ASKED_FOR, _short(row.get("reason")))]
    told = verdicts(row)
    return [
        (_short(one.get("gate")), _short(one.get("reason"))) for one in told if one.get("passed") is False
    ]


def verdicts(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What gates said of a row; nothing where the column does not hold verdicts."""
    told = row.get(VERDICTS)
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except (ValueError, RecursionError):
            return []
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _short(value: Any) -> str:
    text = "none told" if value is None or value == "" else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
