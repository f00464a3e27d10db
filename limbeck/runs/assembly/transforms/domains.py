"""Rows drawn by domain: an order of entries that follows the gaps between student and teacher."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from datasets import Dataset

from limbeck.core.batch import Source
from limbeck.core.errors import Problem
from limbeck.core.examples import data_row
from limbeck.core.lookup import did_you_mean
from limbeck.core.seeds import derived_seed, generator
from limbeck.core.transform import Transform
from limbeck.recipes.batches import Domains
from limbeck.recipes.steps import Train
from limbeck.runs.assembly.sources import entries_of
from limbeck.runs.assembly.transforms.training import Training
from limbeck.schedules.domain_weights import chosen, first_weights, next_weights

_GAP = "gap_"
_BOTH = ("domains.column", "validation.perplexities_by")


class DomainRows(Transform):
    """Chooses the entries of a step; weights are equal until the first gaps are measured.

    Args:
        entry_domains: domain of each entry of the source.
        settings: how gaps become weights.
        seed: of all draws.
    """

    def __init__(self, entry_domains: Sequence[str], settings: Domains, seed: int) -> None:
        self._entries = {
            name: [entry for entry, domain in enumerate(entry_domains) if domain == name]
            for name in sorted(set(entry_domains))
        }
        self._settings, self._seed = settings, seed
        self.weights = {name: 1 / len(self._entries) for name in self._entries}
        self._measured = False
        self._drawn = dict.fromkeys(self._entries, 0)
        self._shuffled: dict[str, tuple[int, list[int]]] = {}

    def take(self, start: int, count: int) -> list[int]:
        """The next `count` entries; `start` only goes forward."""
        return [self._next(position) for position in range(start, start + count)]

    def _next(self, position: int) -> int:
        name = chosen(self.weights, derived_seed(self._seed, "domain", position) / 2**63)
        turn, place = divmod(self._drawn[name], len(self._entries[name]))
        self._drawn[name] += 1
        if name not in self._shuffled or self._shuffled[name][0] != turn:
            order = generator(self._seed, "domain order", name, turn).permutation(self._entries[name])
            self._shuffled[name] = (turn, order.tolist())
        return self._shuffled[name][1][place]

    def observe(self, step: int, total_steps: int, metrics: Mapping[str, float]) -> None:
        """New weights, where the gaps of all domains were measured."""
        gaps = {name: metrics[_GAP + name] for name in self._entries if _GAP + name in metrics}
        if len(gaps) < len(self._entries):
            return
        limit, smoothing = self._settings.limit, self._settings.smoothing
        if self._measured:
            self.weights = next_weights(self.weights, gaps, smoothing=smoothing, limit=limit)
        else:
            self.weights = first_weights(gaps, limit)
        self._measured = True

    def state_dict(self) -> dict[str, Any]:
        """Weights, and how far each domain was drawn."""
        return {"weights": self.weights, "drawn": self._drawn, "measured": self._measured}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.weights, self._drawn = dict(state["weights"]), dict(state["drawn"])
        self._measured = bool(state["measured"])


def make(training: Training) -> DomainRows | None:
    """The order of the step's entries, or None."""
    step = training.step
    if step.domains is None:
        return None
    domains = domains_of(training.work.rows(step.rows), training.rendered, step.domains.column)
    return DomainRows(domains_of_entries(domains, training.source), step.domains, step.seed)


def domains_of(rows: Dataset, rendered: Dataset, column: str) -> list[str]:
    """The domain of each rendered row, by the id of the row it was made of."""
    known = dict(zip(rows["id"], rows[column], strict=True))
    return [str(known[data_row(example, known)]) for example in rendered["row_id"]]


def domains_of_entries(domains: Sequence[str], source: Source) -> list[str]:
    """The domain of each entry of a source; `domains` are those of the rendered rows."""
    return [domains[examples[0]] for examples in entries_of(source)]


def domain_problems(step: Train, rows: Mapping[str, Dataset]) -> Iterator[Problem]:
    """Columns of domains that are not there, and domains that are learnt but not validated.

    Args:
        step: may draw by domain, or validate by domain.
        rows: by reference, as far as they are known.
    """
    wanted = {} if step.domains is None else {"domains.column": (step.domains.column, step.rows)}
    if step.validation is not None and step.validation.perplexities_by is not None:
        wanted["validation.perplexities_by"] = (step.validation.perplexities_by, step.validation.rows)
    domains: dict[str, set[str]] = {}
    for inner, (column, reference) in wanted.items():
        if reference not in rows:
            continue
        found = rows[reference]
        if column not in found.column_names:
            near = did_you_mean(column, found.column_names)
            yield Problem(inner, f"must name a column of {reference}, got '{column}'.{near}")
        else:
            domains[inner] = set(map(str, found[column]))
    if len(domains) == len(_BOTH):
        learnt, validated = (domains[inner] for inner in _BOTH)
        if lost := sorted(learnt - validated):
            yield Problem(
                "validation.rows",
                f"must have rows of every domain, got none of {', '.join(lost)}. "
                "Set a larger validation part, or take rows of that domain out.",
            )
