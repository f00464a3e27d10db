"""What a user says of how rows are to be read, put into the rows themselves: all steps then read them so."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.rows.exchange import answer_of, prompt_of
from limbeck.rows.given import SPECIAL_TOKENS, TEMPLATE_DATE, SpecialTokens
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.too_long import TOO_LONG

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_IN_TURNS = (Kind.COMPLETION, Kind.QUESTION, Kind.PROMPT, Kind.PREFERENCE)


def as_read(
    rows: Dataset,
    *,
    chat: bool = False,
    special_tokens: SpecialTokens = "auto",
    template_date: str | None = None,
    too_long: str | None = None,
) -> Dataset:
    """Rows that say how they are to be read.

    Args:
        rows: of `rows.load.load_rows`.
        chat: prompts and answers become a user's and an assistant's turn, which the chat template of each
            model writes.
        special_tokens: see `rows.given.SPECIAL_TOKENS`.
        template_date: day, YYYY-MM-DD, that chat templates write as today's; None: the day the run began.
        too_long: `drop` leaves out rows whose prompt leaves no room; None refuses them.

    Raises:
        ConfigError: `chat` for rows that have no prompt.
    """
    kind = kind_of(rows.column_names)
    if chat and kind is not Kind.MESSAGES:
        if kind not in _IN_TURNS:
            allowed = " or ".join(one.value for one in _IN_TURNS)
            message = f"must be false for rows without a prompt, got {kind} rows; it is for {allowed}."
            raise ConfigError(Problem("chat", message))
        rows = _in_turns(rows, kind)
    for name, value in (
        (SPECIAL_TOKENS, special_tokens),
        (TEMPLATE_DATE, template_date),
        (TOO_LONG, too_long),
    ):
        if value not in ("auto", None):
            rows = _with_column(rows, name, [value] * len(rows))
    return rows


def said_of_form(rows: Dataset, tokenizer: "PreTrainedTokenizerBase") -> str:
    """A sentence on the form in which rows are read, where it is not the only one; empty elsewhere."""
    kind, has_template = kind_of(rows.column_names), tokenizer.chat_template is not None
    in_turns = kind is Kind.MESSAGES
    if kind in _IN_TURNS and len(rows):
        in_turns = not isinstance(rows[0].get("prompt", ""), str)
    if in_turns and not has_template:
        return "The tokenizer has no chat template: turns are written as User: ..., Assistant: ..."
    if kind in _IN_TURNS and has_template and not in_turns:
        return (
            "Prompts and answers are read as plain text, not through the tokenizer's chat template; "
            "chat: true in the load step writes them as two turns."
        )
    return ""


def _in_turns(rows: Dataset, kind: Kind) -> Dataset:
    name = "prompt" if kind in (Kind.PROMPT, Kind.PREFERENCE) else "messages"
    return _with_column(rows, name, [_turns(row, kind) for row in rows])


def _with_column(rows: Dataset, name: str, values: Sequence[Any]) -> Dataset:
    kept = rows.remove_columns(name) if name in rows.column_names else rows
    if not len(rows):  # a table without rows takes no column
        return Dataset.from_dict({column: [] for column in (*kept.column_names, name)})
    return kept.add_column(name, list(values))


def _turns(row: dict[str, Any], kind: Kind) -> Any:
    if kind in (Kind.PROMPT, Kind.PREFERENCE) and not isinstance(row.get("prompt"), str):
        return row.get("prompt")
    asked = {"role": "user", "content": prompt_of(row, kind, "")}
    if kind in (Kind.PROMPT, Kind.PREFERENCE):
        return [asked]
    return [asked, {"role": "assistant", "content": answer_of(row, kind)}]
