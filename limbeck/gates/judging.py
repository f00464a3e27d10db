"""Several gates over rows: every row keeps what each gate said, and those that all let through are
accepted."""

import asyncio
import inspect
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from limbeck.core.asking import Ask
from limbeck.core.catalogue import Entry, catalogue
from limbeck.core.errors import ConfigError
from limbeck.core.lineage import VERDICTS
from limbeck.gates.reading import group_of
from limbeck.gates.verdict import Row, Verdict

Keep = Literal["all", "any"]

GROUPS, MEMORY = "groups", "memory"
"""Positional arguments of a gate: rows by what they answer, and a mapping that it keeps for itself."""

Classifier = Callable[[Sequence[tuple[str, str]]], Sequence[Mapping[str, float]]]
"""Pairs of texts -> for each, the probability of every class by its name."""

Scorer = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""Pairs of prompt and answer -> mean cross-entropy of the answer's tokens, in nats."""


@dataclass(frozen=True)
class Needs:
    """What gates may ask for beside rows; a gate that needs what is None is refused.

    Attributes:
        against: rows of evaluation sets, or seeds that new rows must differ from.
        classifier: of pairs of texts.
        scorer: a language model that says how likely it finds an answer.
        ask: a teacher that judges.
    """

    against: Sequence[Row] | None = None
    classifier: Classifier | None = None
    scorer: Scorer | None = None
    ask: Ask | None = None


@dataclass(frozen=True)
class Gate:
    """A gate by its name, with its settings."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def entry(self) -> Entry:
        """Its place, signature and docstring."""
        return catalogue("gates")[self.name]

    @property
    def needs(self) -> tuple[str, ...]:
        """What it asks for beside rows: `against`, `classifier`, `scorer`, `ask`."""
        return tuple(name for name in self.entry.positional[1:] if name != MEMORY)


@dataclass(frozen=True)
class Judged:
    """A row with its verdicts, and whether it is accepted."""

    row: dict[str, Any]
    accepted: bool


class Judging:
    """Gates at work on rows that come in chunks; what they remember and count goes on from chunk to chunk.

    With `keep: all` a row that a gate refused is not shown to the later ones, so cheap gates go first, and
    gates that compare with earlier rows (novelty, duplicates) last: they then remember only what was let
    through so far.
    With `keep: any` every gate judges every row.

    Rows that answer one question must come in one chunk if a gate judges groups (`judges_groups`).
    """

    def __init__(self, gates: Sequence[Gate], needs: Needs = Needs(), *, keep: Keep = "all") -> None:
        """Look the gates up.

        Raises:
            ConfigError: a gate needs what is not given.
        """
        self._gates, self._keep = list(gates), keep
        self._calls = [_bound(gate, needs) for gate in gates]
        self._judged = [0] * len(gates)
        self._reasons: list[Counter[str]] = [Counter() for _ in gates]

    @property
    def judges_groups(self) -> bool:
        """Whether a gate looks at all answers to a question together."""
        return any(gate.entry.positional[0] == GROUPS for gate in self._gates)

    async def judged(self, rows: Sequence[Row]) -> list[Judged]:
        """Rows with their verdicts behind those they had, in the same order.

        Raises:
            RowError: a gate cannot read a row.
        """
        said: list[list[dict[str, Any]]] = [[] for _ in rows]
        open_places = list(range(len(rows)))
        for number, (gate, call) in enumerate(zip(self._gates, self._calls, strict=True)):
            if not open_places:
                break
            verdicts = await _verdicts(call, [rows[place] for place in open_places], gate)
            self._count(number, verdicts)
            for place, verdict in zip(open_places, verdicts, strict=True):
                said[place].append(verdict.named(gate.name))
            if self._keep == "all":
                open_places = [place for place, one in zip(open_places, verdicts, strict=True) if one.passed]
        is_in = all if self._keep == "all" or not self._gates else any
        return [
            Judged(with_verdicts(row, new), is_in(one["passed"] for one in new))
            for row, new in zip(rows, said, strict=True)
        ]

    def counts(self) -> list[dict[str, Any]]:
        """For each gate so far: rows judged, rows refused, and how often for which reason."""
        return [
            {
                "gate": gate.name,
                "judged": judged,
                "rejected": sum(reasons.values()),
                "reasons": dict(sorted(reasons.items())),
            }
            for gate, judged, reasons in zip(self._gates, self._judged, self._reasons, strict=True)
        ]

    def _count(self, number: int, verdicts: Sequence[Verdict]) -> None:
        self._judged[number] += len(verdicts)
        self._reasons[number].update(one.reason for one in verdicts if not one.passed)


def with_verdicts(row: Row, new: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A row with more verdicts behind those it had."""
    before = verdicts_of(row)
    return {**row, VERDICTS: json.dumps([*before, *new], ensure_ascii=False, default=str)}


def verdicts_of(row: Row) -> list[dict[str, Any]]:
    """What gates said of a row; nothing where none did."""
    return list(json.loads(row[VERDICTS])) if row.get(VERDICTS) else []


Call = Callable[[Sequence[Row]], Any]


def _bound(gate: Gate, needs: Needs) -> Call:
    """A gate with its settings and all it needs, waiting for rows."""
    first, *others = gate.entry.positional
    given: list[Any] = []
    for name in others:
        value = {} if name == MEMORY else getattr(needs, name)
        if value is None:
            raise ConfigError(
                f"gate {gate.name} must be given {name}, got none. {_WAYS.get(name, '')}".rstrip()
            )
        given.append(value)
    function = gate.entry.load()
    if first == GROUPS:
        return lambda rows: _ungrouped(rows, lambda groups: function(groups, *given, **gate.options))
    return lambda rows: function(rows, *given, **gate.options)


_WAYS = {
    "against": "Name rows with against: the evaluation sets, or seeds, to compare with.",
    "classifier": "Name a text classifier with classifier: its folder or id.",
    "scorer": "Name a causal model with scorer: its folder or id.",
    "ask": "Name who judges with judge: a teacher.",
}


def _ungrouped(
    rows: Sequence[Row], judge: Callable[[Iterable[Sequence[Row]]], Iterator[Verdict]]
) -> Iterator[Verdict]:
    """The verdicts of a gate of groups, in the order of the rows."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        places.setdefault(group_of(row), []).append(place)
    verdicts = judge([rows[place] for place in group] for group in places.values())
    found = dict(zip((place for group in places.values() for place in group), verdicts, strict=True))
    return (found[place] for place in range(len(rows)))


async def _verdicts(call: Call, rows: Sequence[Row], gate: Gate) -> list[Verdict]:
    """One verdict a row; a gate that does not ask works beside the event loop."""
    if inspect.isasyncgenfunction(gate.entry.load()):
        made: AsyncIterator[Verdict] = call(rows)
        found = [verdict async for verdict in made]
    else:
        found = await asyncio.to_thread(lambda: list(call(rows)))
    assert len(found) == len(rows), f"{gate.name} gives one verdict a row"
    return found
