"""What a model reads of a row before it answers, as a text to compare: rows with one prompt stay together."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from limbeck.rows.kinds import Kind, kind_of

_SAID = frozenset({"assistant", "tool"})
"""Roles whose turns answers have already formed: they differ between several answers to one prompt."""
_BEFORE = _SAID | {"system", "developer"}
"""Roles whose turns make no other question."""
_UNSEEN = "[\\x{200b}-\\x{200d}\\x{2060}\\x{feff}]"
_BLANKS = "\\s\\s+|[^\\S ]"  # but one space, which most are: five times faster
_BETWEEN = "\x1f"
_CHUNK = 8192


def prompts_of(rows: Dataset) -> pa.ChunkedArray:
    """[rows] the prompt of each row as one text, blanks around it left out.

    Of a conversation all that was said to the assistant; of rows without an answer, the whole text.
    """
    return _stripped(_OF_KIND[kind_of(rows.column_names)](rows, False))


def openings_of(rows: Dataset) -> pa.ChunkedArray:
    """[rows] as `prompts_of`, of a conversation what was asked before its first answer alone.

    Without the system prompt, the choices of a question, and the order of two texts.
    """
    return _stripped(_OF_KIND[kind_of(rows.column_names)](rows, True))


def alike(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """[rows] the texts without what makes no other question: case, kinds of blanks, a mark at the end."""
    made = [_plain(texts.slice(start, _CHUNK)) for start in range(0, len(texts), _CHUNK)]  # memory stays flat
    return pa.chunked_array([chunk for one in made for chunk in one.chunks], pa.string())


def _plain(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    plain = pc.replace_substring_regex(plain, pattern=_UNSEEN, replacement="")
    plain = pc.replace_substring_regex(plain, pattern=_BLANKS, replacement=" ")
    return pc.utf8_rtrim(plain, characters=" .?!:")


def _columns(*names: str) -> Callable[[Dataset, bool], pa.ChunkedArray]:
    def read(rows: Dataset, opening: bool) -> pa.ChunkedArray:
        table = _table(rows, names)
        found = [_stripped(table[name]) for name in names if name in table.column_names]
        return found[0] if len(found) == 1 else pc.binary_join_element_wise(*found, _BETWEEN)

    return read


def _prompt(rows: Dataset, opening: bool) -> pa.ChunkedArray:
    values = _table(rows, ["prompt"])["prompt"]
    return _heard(values.to_pylist(), opening) if pa.types.is_nested(values.type) else values


def _messages(rows: Dataset, opening: bool) -> pa.ChunkedArray:
    found: list[pa.ChunkedArray] = []
    for start in range(0, len(rows), _CHUNK):
        some = _table(rows.select(range(start, min(start + _CHUNK, len(rows)))), ["messages"])
        found.append(_heard(some["messages"].to_pylist(), opening))
    return pa.chunked_array([chunk for one in found for chunk in one.chunks], pa.string())


def _preference(rows: Dataset, opening: bool) -> pa.ChunkedArray:
    names = rows.column_names
    before = next((name for name in ("messages", "prompt") if name in names), None)
    table = _table(rows, [name for name in (before, "chosen", "rejected") if name is not None])
    if before and not pa.types.is_nested(table[before].type):
        return table[before]
    if before:
        return _heard(table[before].to_pylist(), opening)
    pairs = zip(table["chosen"].to_pylist(), table["rejected"].to_pylist(), strict=True)
    return _heard([_common(first, second) for first, second in pairs], opening)


def _pair(rows: Dataset, opening: bool) -> pa.ChunkedArray:
    """Both texts; as an opening whichever stands first."""
    table = _table(rows, ["text_a", "text_b"])
    one, other = _stripped(table["text_a"]), _stripped(table["text_b"])
    if opening:
        is_first = pc.less_equal(one, other)
        one, other = pc.if_else(is_first, one, other), pc.if_else(is_first, other, one)
    return pc.binary_join_element_wise(one, other, _BETWEEN)


def _question(rows: Dataset, opening: bool) -> pa.ChunkedArray:
    names = [name for name in ("question", "choices") if name in rows.column_names]
    table = _table(rows, names)
    if "choices" not in names or opening:
        return table["question"]
    choices = pa.array(["\n".join(one or ()) for one in table["choices"].to_pylist()], pa.string())
    return pc.binary_join_element_wise(_stripped(table["question"]), choices, _BETWEEN)


def _tags(rows: Dataset, opening: bool) -> pa.ChunkedArray:
    return pc.binary_join(_table(rows, ["tokens"])["tokens"].cast(pa.list_(pa.string())), " ")


_OF_KIND: Mapping[Kind, Callable[[Dataset, bool], pa.ChunkedArray]] = {
    Kind.PREFERENCE: _preference,
    Kind.MESSAGES: _messages,
    Kind.COMPLETION: _columns("prompt"),
    Kind.QUESTION: _question,
    Kind.TAGS: _tags,
    Kind.LABELLED_PAIR: _pair,
    Kind.SCORED_PAIR: _pair,
    Kind.LABELLED_TEXT: _columns("text"),
    Kind.TEXT: _columns("text"),
    Kind.PROMPT: _prompt,
}


def _table(rows: Dataset, names: Sequence[str]) -> pa.Table:
    return rows.select_columns([name for name in names if name in rows.column_names]).with_format("arrow")[:]


def _heard(conversations: Sequence[Any], opening: bool) -> pa.ChunkedArray:
    found = []
    for turns in conversations:
        kept = []
        for turn in turns or ():
            if turn["role"] == "assistant" and opening:
                break
            if turn["role"] not in (_BEFORE if opening else _SAID):
                kept.append(f"{turn['role']}:{(turn['content'] or '').strip()}")
        found.append(_BETWEEN.join(kept))
    return pa.chunked_array([pa.array(found, pa.string())], pa.string())


def _common(first: Sequence[Any], second: Sequence[Any]) -> list[Any]:
    """The turns that two conversations begin with."""
    same = [one == other for one, other in zip(first, second, strict=False)]
    return list(first[: same.index(False) if False in same else len(same)])


def _stripped(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.fill_null(pc.utf8_trim_whitespace(values.cast(pa.string())), "")
