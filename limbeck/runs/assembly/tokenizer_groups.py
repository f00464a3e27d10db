"""Who reads the held-out rows in whose tokens, when the models of an evaluation have several tokenizers."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from limbeck.core.errors import VocabularyError
from limbeck.rows.rendering import Rendering
from limbeck.teachers import shared_vocabulary


@dataclass
class TokenizerGroup:
    """Models that share their tokenizer.

    Attributes:
        tokenizer: of the first of them.
        columns: of the head of each, by name.
        note: what was found of their vocabularies, in a sentence; empty for one alone.
        teachers: names of those that the others are held against.
    """

    tokenizer: Any
    columns: dict[str, int]
    note: str = ""
    teachers: Collection[str] = ("teacher",)
    _shared: list[int] = field(default_factory=list)

    @property
    def vocabulary(self) -> int:
        """Token ids that all of them are compared over."""
        return max(self._shared) if self._shared else min(self.columns.values())

    def admit(self, name: str, tokenizer: Any, columns: int) -> bool:
        """Whether a model has the same tokenizer; it is one of them then."""
        if tokenizer is not self.tokenizer:
            try:
                first = next(iter(self.columns.values()))
                shared = shared_vocabulary(self.tokenizer, tokenizer, first, columns)
            except VocabularyError:
                return False
            self.note = shared.note
            if not {name, *self.columns}.isdisjoint(self.teachers):
                self._shared.append(shared.size)
        self.columns[name] = columns
        return True


def join(groups: list[TokenizerGroup], name: str, tokenizer: Any, columns: int) -> None:
    """Put a model of an evaluation to those with its tokenizer, or into a group of its own behind them.

    Raises:
        VocabularyError: a head that is too small for its model's own tokenizer.
    """
    if not any(group.admit(name, tokenizer, columns) for group in groups):
        shared_vocabulary(tokenizer, tokenizer, columns, columns)
        groups.append(TokenizerGroup(tokenizer, {name: columns}, teachers=groups[0].teachers))


def said_of(groups: list[TokenizerGroup]) -> str:
    """What the plan says of the tokenizers of an evaluation; empty where there is only one model."""
    apart = [name for group in groups[1:] for name in group.columns]
    if not apart:
        return groups[0].note
    verb = "reads" if len(apart) == 1 else "read"
    return f"{' and '.join(apart)} {verb} other tokens: compared in bits per byte, written text and speed"


def own_rendering(rendering: Rendering, positions: int | None) -> Rendering:
    """How a model with another tokenizer reads the rows: no row longer than it was made for."""
    longest = rendering.max_length if positions is None else min(rendering.max_length, positions)
    return replace(rendering, max_length=longest)
