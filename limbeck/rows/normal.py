"""One shape for every spelling: limbeck's column names, messages with roles, texts, labels by name."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.core.lookup import did_you_mean
from limbeck.rows.columns import Column, Part
from limbeck.rows.conversing import Bad, conversations, needs_turns, tool_schemas
from limbeck.rows.kind_columns import kind_columns
from limbeck.rows.kinds import Kind, spelling_of
from limbeck.rows.meaning import is_empty, lost_meaning, unread

_ALIASES = {
    "system_prompt": "system", "system_message": "system", "system_instruction": "system",
    "system_instructions": "system", "sys_prompt": "system",
    "functions": "tools", "available_tools": "tools", "tool_schemas": "tools", "tool_list": "tools",
    "chat_history": "history", "conversation_history": "history", "dialog_history": "history",
    "kto_tag": "label", "options": "choices",
    "is_finished": "finished", "is_complete": "finished",
}  # fmt: skip
_CUT = frozenset({"length", "max_length", "max_tokens", "max_new_tokens", "max_output_tokens"})
"""Reasons to stop, as services write them, of answers that did not come to their end."""

_REASONS = ("finish_reason", "stop_reason", "finish_reasons", "done_reason")
_TRUNCATED = ("truncated", "is_truncated")
_JUDGED = ("label", "is_correct", "correct", "accepted", "desirable", "verified")
_BELOW = ("input", "context")
"""Columns whose text goes below the prompt's."""
_ASKED = {
    Kind.QUESTION: "question",
    Kind.PREFERENCE: "prompt",
    Kind.COMPLETION: "prompt",
    Kind.PROMPT: "prompt",
}
_ANSWERED = {Kind.QUESTION: "answer", Kind.COMPLETION: "completion"}
_TRUE, _FALSE = frozenset({"true", "1", "1.0", "yes"}), frozenset({"false", "0", "0.0", "no"})


@dataclass(frozen=True)
class Normal:
    """Rows in limbeck's shape.

    Attributes:
        part: the rows, every column `plain`.
        kind: what a row holds; None where no line could be read.
        bad: rows with nothing to learn from, by their place -> what is wrong.
        unread: columns that nothing reads.
        turned: whether rows of another spelling became conversations.
    """

    part: Part
    kind: Kind | None
    bad: Mapping[int, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    turned: bool = False


def renamed(part: Part, columns: Mapping[str, str], where: str) -> Part:
    """A part with `columns` (limbeck's name -> the name found) applied; a column in the way is replaced.

    Raises:
        ConfigError: a column to rename is not there.
    """
    found = part.columns
    problems = [
        Problem(f"columns.{new}", f"must name a column of {where}, got '{old}'.{did_you_mean(old, found)}")
        for new, old in columns.items()
        if old not in found
    ]
    if problems:
        raise ConfigError(problems)
    changes = {old: new for new, old in columns.items() if old != new}
    in_the_way = [new for new in changes.values() if new in found and new not in changes]
    kept = part.without(in_the_way)
    return _with_names(kept, changes)


def without_ignored(part: Part, ignore: Iterable[str], where: str) -> Part:
    """A part without the columns that the user leaves out.

    Raises:
        ConfigError: a column to leave out is not there.
    """
    lost = [name for name in ignore if name not in part.columns]
    if lost:
        raise ConfigError(
            [
                Problem(
                    "ignore", f"must name columns of {where}, got '{one}'.{did_you_mean(one, part.columns)}"
                )
                for one in lost
            ]
        )
    return part.without(ignore)


def must_have(parts: Iterable[Part], keep: Iterable[str], where: str) -> None:
    """Refuse to keep columns that no part has.

    Raises:
        ConfigError: with one problem for each.
    """
    found = {name for part in parts for name in part.columns}
    problems = [
        Problem("keep", f"must name columns of {where}, got '{one}'.{did_you_mean(one, found)}")
        for one in keep
        if one not in found
    ]
    if problems:
        raise ConfigError(problems)


def normalised(part: Part, where: str, *, as_turns: bool = False, keep: Collection[str] = ()) -> Normal:
    """Rows in limbeck's spelling; other columns are kept.

    Args:
        part: rows as they were found, with `columns` applied.
        where: the file, for messages.
        as_turns: make conversations of prompts and answers, as other files of the data have them.
        keep: columns that are read later, by an operator or a gate.

    Raises:
        RowError: the columns are of no kind, or one that carries meaning would be read by nothing.
    """
    bad: Bad = {}
    part = _with_names(part, _tidied(part.columns))
    part = _with_names(part, _limbecks(part.columns))
    spelling = spelling_of(part.columns, where)
    kind = spelling.kind
    part = _with_names(part, dict(spelling.names))
    if kind is Kind.PREFERENCE:
        part = _with_names(part, _prompt_of(part))
    names = (
        _ASKED.get(kind),
        _ANSWERED.get(kind),
        *(("chosen", "rejected") if kind is Kind.PREFERENCE else ()),
    )
    asked = [name for name in names if name is not None]
    if kind in _ASKED:
        part = _with_below(part, _ASKED[kind])
    turned = False
    if kind is Kind.MESSAGES:
        part = part.having({"messages": conversations(part, "messages", None, bad, must_answer=True)})
        part = part.without(["system"])
    elif asked and (as_turns or needs_turns(part, asked)):
        part, kind, turned = _as_conversations(part, kind, where, bad)
    if "tools" in part.columns and kind in (Kind.MESSAGES, Kind.PREFERENCE, Kind.PROMPT):
        part = part.having({"tools": tool_schemas(part.columns["tools"], bad)})
    part = kind_columns(part, kind, bad)
    part = _with_flags(_with_finished(part), bad)
    _refuse_judged_bad(part, kind, bad)
    left = [name for name in unread(part, kind) if name not in keep]
    problems = lost_meaning(part, left, kind)
    if problems:
        raise RowError([Problem(where, problem.message) for problem in problems])
    plain = {name: Column(column.plain()) for name, column in part.columns.items() if name != "id"}
    return Normal(part.having(plain), kind, bad, tuple(left), turned)


def _tidied(names: Iterable[str]) -> dict[str, str]:
    """Names without blanks around them and capitals (`Question `), where that is clear: old -> new."""
    plain = {name: name.strip().lower() for name in names}
    return {
        old: new
        for old, new in plain.items()
        if old != new and new not in plain and list(plain.values()).count(new) == 1
    }


def _limbecks(names: Iterable[str]) -> dict[str, str]:
    """The name here of columns with other usual ones: old -> new."""
    new = {_ALIASES[old]: old for old in names if old in _ALIASES}  # of two, one stays and is refused
    return {old: name for name, old in new.items() if name not in names}


def _with_names(part: Part, names: Mapping[str, str]) -> Part:
    columns = {names.get(name, name): column for name, column in part.columns.items()}
    classes = {names.get(name, name): found for name, found in part.classes.items()}
    return Part(columns, part.origins, classes, part.broken)


def _prompt_of(part: Part) -> dict[str, str]:
    """Where a preference has its prompt under another name: name -> limbeck's."""
    if "prompt" in part.columns or "messages" in part.columns:
        return {}
    for name, new in (("conversations", "messages"), ("question", "prompt"), ("instruction", "prompt")):
        if name in part.columns:
            return {name: new}
    return {}


def _with_below(part: Part, asked: str) -> Part:
    """Alpaca's `input` and Dolly's and SQuAD's `context` go below the prompt, with a line break between."""
    for name in _BELOW:
        if name not in part.columns or asked not in part.columns:
            continue
        above, below = part.columns[asked].texts(), part.columns[name].texts()
        if above.wrong or below.wrong:
            continue  # turns, or lists of paragraphs: refused later, by name
        joined = pc.binary_join_element_wise(above.values, below.values, "\n")
        is_said = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(below.values), ""), False)
        part = part.having({asked: Column(_chunked(pc.if_else(is_said, joined, above.values)))}).without(
            [name]
        )
    return part


def _as_conversations(part: Part, kind: Kind, where: str, bad: Bad) -> tuple[Part, Kind, bool]:
    """Prompt and answer as turns, with the system prompt, the history and the tools that go with them."""
    if kind is Kind.PREFERENCE:
        before = "messages" if "messages" in part.columns else "prompt"
        made = {
            name: conversations(part.without(["system", "history"]), None, name, bad)
            for name in ("chosen", "rejected")
        }
        if before in part.columns or not _says_nothing(part, "system"):
            made["messages"] = conversations(part, before, None, bad)
        return part.having(made).without(["prompt", "system", "history"]), kind, True
    beside = [name for name in ("rationale", "choices") if name in part.columns]
    if kind is Kind.QUESTION and beside and not all(is_empty(part.columns[name]) for name in beside):
        raise RowError(
            f"{where}: column {beside[0]} must go with one question, got rows that are conversations (turns, "
            f"or a system prompt, history or tools). Leave one out with ignore: [{beside[0]}]."
        )
    answer = _ANSWERED.get(kind)
    column = conversations(part, _ASKED[kind], answer, bad, must_answer=kind is not Kind.PROMPT)
    gone = [_ASKED[kind], *([answer] if answer else []), "system", "history", *beside]
    if kind is Kind.PROMPT:
        return part.without(gone).having({"prompt": column}), kind, True
    return part.without(gone).having({"messages": column}), Kind.MESSAGES, True


def _says_nothing(part: Part, name: str) -> bool:
    """Whether a column is not there or says nothing."""
    return name not in part.columns or is_empty(part.columns[name])


def _with_finished(part: Part) -> Part:
    """`finished` from the reason to stop that services give with an answer, or from `truncated`."""
    name = next((one for one in (*_REASONS, *_TRUNCATED) if one in part.columns), None)
    if name is None or "finished" in part.columns:
        return part
    is_cut = _TRUE if name in _TRUNCATED else _CUT
    words = [str(one).strip("[]\"' ").lower() for one in part.columns[name].objects()]
    flags = pa.array([word not in is_cut for word in words], pa.bool_())
    return part.without([name]).having({"finished": Column(pa.chunked_array([flags]))})


def _with_flags(part: Part, bad: Bad) -> Part:
    """`heldout` and `finished` as true or false, however a table without truth values writes them."""
    for name, absent in (("heldout", False), ("finished", True)):
        if name not in part.columns:
            continue
        words = [
            one if one is None else one.strip().lower()
            for one in part.columns[name].texts().values.to_pylist()
        ]
        for place, word in enumerate(words):
            if word is not None and word not in _TRUE | _FALSE and word:
                bad.setdefault(place, f"{name} must be true or false, got {word}.")
        flags = [absent if not word else word in _TRUE for word in words]
        part = part.having({name: Column(pa.chunked_array([pa.array(flags, pa.bool_())]))})
    return part


def _refuse_judged_bad(part: Part, kind: Kind, bad: Bad) -> None:
    """KTO's `label` and its kin: an answer that was judged bad is none to learn from."""
    if kind not in (Kind.COMPLETION, Kind.MESSAGES, Kind.QUESTION):
        return
    for name in _JUDGED:
        if name not in part.columns:
            continue
        found = part.columns[name].texts().values.to_pylist()
        words = [None if one is None else one.strip().lower() for one in found]
        if not set(words) <= _TRUE | _FALSE | {None}:
            continue
        for place, word in enumerate(words):
            if word in _FALSE:
                bad.setdefault(
                    place,
                    f"{name} must be true for an answer to be learnt from, got {found[place]}: it was judged "
                    "bad. Pair it with a better one as chosen and rejected, leave such rows out with "
                    f"bad_rows: drop, or set ignore: [{name}] if it means something else.",
                )


def _chunked(values: Any) -> pa.ChunkedArray:
    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
