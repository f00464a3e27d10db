"""Several gates over rows: each row keeps what every gate said of it, and is accepted or not."""

import asyncio
import inspect
from array import array
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from limbeck.core.asking import Ask
from limbeck.core.catalogue import Entry, catalogue
from limbeck.core.errors import ConfigError
from limbeck.gates.reading import group_of
from limbeck.gates.verdict import ACCEPTED, Classifier, Row, Scorer, Verdict, verdicts_of, with_verdicts

Keep = Literal["all", "any"]

GROUPS, EVERYTHING, MEMORY = "groups", "everything", "memory"
"""Positional arguments of a gate: rows by what they answer, all of them at once, and a mapping of its own."""


@dataclass(frozen=True)
class Needs:
    """What gates may ask for beside rows; a gate that needs what is None is refused.

    Attributes:
        against: rows of evaluation sets, or seeds that new rows must differ from.
        classifier: of pairs of texts.
        scorer: a language model that says how likely it finds an answer.
        ask: a teacher that judges.
        kept_scores: take the scores that a gate which asks gave the rows before, in the place of asking.
    """

    against: Sequence[Row] | None = None
    classifier: Classifier | None = None
    scorer: Scorer | None = None
    ask: Ask | None = None
    kept_scores: bool = False


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
    def reads(self) -> str:
        """How it reads rows: `rows`, `groups` or `everything`."""
        return self.entry.positional[0]

    @property
    def remembers_rows(self) -> bool:
        """Whether it compares a row with those that it let through before."""
        return MEMORY in self.entry.positional and "against" not in self.needs

    @property
    def needs(self) -> tuple[str, ...]:
        """What it cannot do without beside rows: `against`, `classifier`, `scorer`, `ask`."""
        parameters = inspect.signature(self.entry.load()).parameters
        required = [name for name in self.uses if parameters[name].default is inspect.Parameter.empty]
        return tuple(required)

    @property
    def uses(self) -> tuple[str, ...]:
        """What it can make use of beside rows."""
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

    Rows that answer one question must come in one chunk if a gate judges groups (`judges_groups`); it sees
    refused rows too, with what was said of them. All rows must come at once if a gate counts over them
    (`judges_all`).
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
        self._scores: list[array[float]] = [array("d") for _ in gates]

    @property
    def judges_groups(self) -> bool:
        """Whether a gate looks at all answers to a question together."""
        return any(gate.reads == GROUPS for gate in self._gates)

    @property
    def judges_all(self) -> bool:
        """Whether a gate must see all rows before it judges the first."""
        return any(gate.reads == EVERYTHING for gate in self._gates)

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
            verdicts = await self._verdicts(gate, call, rows, said, open_places)
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

    def rehearse(self) -> None:
        """Judge no rows at all: what is wrong with the settings is said.

        Raises:
            ConfigError: settings that cannot be, or a library that is missing.
        """
        for gate, call in zip(self._gates, self._calls, strict=True):
            if not inspect.isasyncgenfunction(gate.entry.load()):
                list(call([]))

    async def _verdicts(
        self,
        gate: Gate,
        call: "Call",
        rows: Sequence[Row],
        said: Sequence[Sequence[Mapping[str, Any]]],
        places: Sequence[int],
    ) -> list[Verdict]:
        """What a gate says of the rows at some places."""
        if gate.reads == GROUPS:
            all_rows = [with_verdicts(row, one) for row, one in zip(rows, said, strict=True)]
            found = await _made(call, all_rows, gate)
            return [found[place] for place in places]
        return await _made(call, [rows[place] for place in places], gate)

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

    def spreads(self) -> list[dict[str, float] | None]:
        """For each gate its scores so far, in its own unit: low (a tenth is below), median, high, mean."""
        return [_spread(scores) if scores else None for scores in self._scores]

    def _count(self, number: int, verdicts: Sequence[Verdict]) -> None:
        self._judged[number] += len(verdicts)
        self._reasons[number].update(one.reason for one in verdicts if not one.passed)
        self._scores[number].extend(one.score for one in verdicts if one.score is not None)


def _spread(scores: Sequence[float]) -> dict[str, float]:
    low, median, high = np.quantile(scores, (0.1, 0.5, 0.9))
    return {"low": float(low), "median": float(median), "high": float(high), "mean": float(np.mean(scores))}


Call = Callable[[Sequence[Row]], Any]


def _bound(gate: Gate, needs: Needs) -> Call:
    """A gate with its settings and all it needs, waiting for rows."""
    if "ask" in gate.needs and needs.ask is None and needs.kept_scores:
        return lambda rows: _by_kept_scores(rows, gate)
    lacking = [name for name in gate.needs if getattr(needs, name) is None]
    if lacking:
        raise ConfigError(f"gate {gate.name} must be given {lacking[0]}, got none. {_WAYS[lacking[0]]}")
    given: dict[str, Any] = {
        name: getattr(needs, name) for name in gate.uses if getattr(needs, name) is not None
    }
    if MEMORY in gate.entry.positional:
        given[MEMORY] = {}
    function = gate.entry.load()
    if gate.reads == GROUPS:
        return lambda rows: _ungrouped(rows, lambda groups: function(groups, **given, **gate.options))
    return lambda rows: function(rows, **given, **gate.options)


def _by_kept_scores(rows: Sequence[Row], gate: Gate) -> Iterator[Verdict]:
    """What a gate that asks would say now, by the scores it gave before."""
    minimum = gate.options.get("minimum", 0.0)
    for row in rows:
        found = [one for one in verdicts_of(row) if one["gate"] == gate.name]
        if not found:
            yield Verdict(None, False, "unjudged", "it was asked about other rows alone")
        elif found[-1]["score"] is None:
            yield Verdict(None, False, found[-1]["reason"], found[-1]["detail"])
        else:
            score, detail = float(found[-1]["score"]), found[-1]["detail"]
            passed = score >= minimum
            yield Verdict(score, passed, ACCEPTED if passed else "low", detail)


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


async def _made(call: Call, rows: Sequence[Row], gate: Gate) -> list[Verdict]:
    """One verdict a row; a gate that does not ask works beside the event loop."""
    made: AsyncIterator[Verdict] | Iterator[Verdict] = call(rows)
    if isinstance(made, AsyncIterator):
        found = [verdict async for verdict in made]
    else:
        found = await asyncio.to_thread(list, made)
    assert len(found) == len(rows), f"{gate.name} gives one verdict a row"
    return found
