"""Columns that carry meaning: read by some kinds of rows, and never dropped without a word by the others."""

from collections.abc import Collection, Mapping

from limbeck.core.errors import Problem
from limbeck.core.lineage import ASKED, FIELDS, OPERATOR, REQUESTS
from limbeck.rows.columns import Column, Part
from limbeck.rows.kinds import Kind

ALWAYS = frozenset({"id", "heldout", "finished", "split", "domain", "source", "slice"})
"""Read whatever the kind: by the split, by what appends ends, by slices of the evaluation."""

_CONVERSING = frozenset({"system", "history", "tools", "label"})
_READ: Mapping[Kind, frozenset[str]] = {
    Kind.PREFERENCE: _CONVERSING | {"prompt", "messages"},
    Kind.MESSAGES: frozenset({"system", "tools", "label"}),
    Kind.COMPLETION: _CONVERSING,
    Kind.QUESTION: _CONVERSING | {"rationale", "choices"},
    Kind.PROMPT: _CONVERSING,
}

_ELSEWHERE = "Put it into the texts that are read"
_THOUGHT = "Put it into the assistant's turn of `messages` as `reasoning_content`"
_ALIKE: Mapping[str, str] = {
    **dict.fromkeys(("system_prompt", "system_message", "preamble", "persona"), "system"),
    **dict.fromkeys(("chat_history", "conversation_history", "previous_turns"), "history"),
    **dict.fromkeys(
        ("contexts", "passage", "passages", "paragraph", "document", "documents", "knowledge", "evidence",
         "background", "hint"),
        "context",
    ),
    **dict.fromkeys(("functions", "available_tools"), "tools"),
    **dict.fromkeys(("weights", "sample_weight", "loss_weight"), "weight"),
    "loss_mask": "train",
    **dict.fromkeys(
        ("thought", "thoughts", "think", "cot", "chain_of_thought", "reasoning_text", "reasoning_trace",
         "thinking_trace", "rationale"),
        "reasoning",
    ),
}  # fmt: skip
"""Other names of columns that carry meaning -> the one whose advice fits."""

_ADVICE: Mapping[str, str] = {
    "system": _ELSEWHERE,
    "history": "Write the earlier turns into `messages`",
    "context": _ELSEWHERE,
    "input": _ELSEWHERE,
    "tools": "Tools go with `messages`",
    "weight": "Every row counts alike: repeat or leave out rows",
    "train": "Leave out the rows that are not to be learnt",
    "reasoning": _THOUGHT,
    "reasoning_content": _THOUGHT,
    "thinking": _THOUGHT,
    "parent_id": (
        "The rows are messages of trees, and each would be learnt alone, those of prompters too: follow "
        "parent_id from every answer up to its root, and write the path as one row of `messages`"
    ),
    "images": "Models here read text alone",
    "image": "Models here read text alone",
    "audio": "Models here read text alone",
    "video": "Models here read text alone",
}


_TRUE = frozenset({"1", "1.0", "True", "true"})


def is_empty(column: Column) -> bool:
    """Whether a column says nothing in any row."""
    return not any(
        one.strip() not in ("", "[]", "{}", "null") if isinstance(one, str) else one not in (None, [], {})
        for one in column.objects()
    )


def unread(part: Part, kind: Kind) -> list[str]:
    """Columns that neither this kind of rows nor anything else in reading uses."""
    read = {*ALWAYS, *kind.columns, *_READ.get(kind, ()), *_of_operators(part.columns)}
    return [name for name in part.columns if name not in read]


def lost_meaning(part: Part, names: Collection[str], kind: Kind) -> list[Problem]:
    """One problem for each of these columns that means something."""
    return [
        Problem(
            "",
            f"column {name} must be read, got rows of {kind}, which have no place for it. "
            f"{_ADVICE[_ALIKE.get(name, name)]}, "
            f"or leave it out on purpose with ignore: [{name}] in the load step, or keep it there for an "
            f"operator or a gate with keep: [{name}].",
        )
        for name in names
        if _ALIKE.get(name, name) in _ADVICE
        and not is_empty(part.columns[name])
        and not _counts_all_rows(part, name)
    ]


def _of_operators(columns: Collection[str]) -> Collection[str]:
    """Columns of rows that an operator made: whether thoughts are learnt was its choice, not the file's."""
    return (*FIELDS, "rationale") if {OPERATOR, ASKED, REQUESTS} <= set(columns) else ()


def _counts_all_rows(part: Part, name: str) -> bool:
    """Whether a mark of rows that count says that all of them do."""
    if _ALIKE.get(name, name) not in ("weight", "train"):
        return False
    return set(part.columns[name].texts().values.unique().to_pylist()) <= _TRUE
