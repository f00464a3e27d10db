"""Control marks: the strings that a tokenizer reads as one token, told apart from the same letters in a text.

A mark that is meant as text is hidden: its first character is moved into a private plane of Unicode, so
that neither a chat template nor a tokenizer knows it, and the text keeps its length. `rows.tokens` encodes
hidden marks letter by letter.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from limbeck.core.stops import stop_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

THOUGHT_TAGS = THOUGHT_BEGINS, THOUGHT_ENDS = "<think>", "</think>"
"""Around what a model thinks before it answers."""

_PLANE = 0x100000  # the last private plane; marks that begin above it do not occur
_KEPT = 8  # tokenizers whose marks are kept
_WITHIN_ANSWERS = re.compile("think|tool|function|reason|answer", re.IGNORECASE)


@dataclass(frozen=True)
class Marks:
    """The marks of a tokenizer.

    Attributes:
        control: special tokens, and added tokens that its chat template writes around turns.
        begin: the token that begins every text, or nothing.
        end: the end token, or nothing.
        stops: those at which a model stops writing (`core.stops`).
    """

    control: frozenset[str]
    begin: str
    end: str
    stops: frozenset[str]

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Any of them, the longest first."""
        return _any_of(self.control)

    @cached_property
    def hidden(self) -> re.Pattern[str]:
        """Any of them, or a tag of thoughts, that was hidden; in a group, so that `split` keeps it."""
        return re.compile(f"({_any_of(map(_moved, {*self.control, *THOUGHT_TAGS})).pattern})")

    @property
    def ends(self) -> tuple[str, ...]:
        """Marks that may close a text: all but the one that begins every text."""
        return tuple((self.control - {self.begin} | {self.end}) - {""})

    def hide(self, text: str, *, but: Iterable[str] = ()) -> str:
        """The text with its marks hidden, `but` those."""
        return self.pattern.sub(lambda match: match[0] if match[0] in but else _moved(match[0]), text)

    def show(self, text: str) -> str:
        """The text as its writer meant it, nothing hidden."""
        return self.hidden.sub(lambda match: _shown(match[0]), text)

    def opens(self, text: str) -> bool:
        """Whether a text begins with a mark, as one that a chat template has rendered does."""
        return self.pattern.match(text.lstrip()) is not None


def hide_thoughts(text: str) -> str:
    """The text with the tags of thoughts hidden."""
    return _TAGS.sub(lambda match: _moved(match[0]), text)


def marks_of(tokenizer: "PreTrainedTokenizerBase") -> Marks:
    """The marks of a tokenizer and its chat template."""
    return _marks(tokenizer, len(tokenizer), str(tokenizer.chat_template))


@lru_cache(maxsize=_KEPT)
def _marks(tokenizer: "PreTrainedTokenizerBase", size: int, template: str) -> Marks:
    """`size` and `template` are part of the key, because both may change."""
    added = list(tokenizer.added_tokens_decoder.values())
    special = {str(token) for token in added if token.special} | set(tokenizer.all_special_tokens)
    # Not the marks that answers are made of: models write them, and data has them in its texts.
    around_turns = {str(token) for token in added if not token.special and str(token).strip()}
    around_turns = {
        token for token in around_turns if token in template and not _WITHIN_ANSWERS.search(token)
    }
    control = frozenset(mark for mark in special | around_turns if ord(mark[0]) < _PLANE >> 4)
    stops = frozenset(map(str, tokenizer.convert_ids_to_tokens(list(stop_ids(tokenizer)))))
    return Marks(control, str(tokenizer.bos_token or ""), str(tokenizer.eos_token or ""), stops & control)


def _moved(mark: str) -> str:
    return chr(_PLANE + ord(mark[0])) + mark[1:]


def _shown(mark: str) -> str:
    return chr(ord(mark[0]) - _PLANE) + mark[1:]


def _any_of(marks: Iterable[str]) -> re.Pattern[str]:
    longest_first = sorted(marks, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


_TAGS = _any_of(THOUGHT_TAGS)
