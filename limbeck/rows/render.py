"""From rows of text to rows of token ids, once, before training."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from datasets import Dataset

from limbeck.core.errors import Problem, RowError
from limbeck.rows.exchange import without_rationale
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.problems import refuse_kind
from limbeck.rows.prompts import render_prompts
from limbeck.rows.ragged import list_column
from limbeck.rows.rendering import Rendering, Task
from limbeck.rows.tables import rows_of
from limbeck.rows.text_kind import text_kind
from limbeck.rows.too_long import refused_or_left_out, without

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Rendering", "notes_of", "render", "render_prompts"]

_CHUNK = 2_000  # rows tokenised in one call: many enough to be fast, few enough to keep memory flat
_LABELLED = (Kind.QUESTION, Kind.COMPLETION, Kind.LABELLED_TEXT, Kind.LABELLED_PAIR)
_TASKS: Mapping[Task, tuple[Kind, ...]] = {
    "two_task": _LABELLED,
    "label": _LABELLED,
    "preference": (Kind.PREFERENCE,),
}


def render(rows: Dataset, tokenizer: "PreTrainedTokenizerBase", rendering: Rendering) -> Dataset:
    """Token ids of every row, and what is to be learnt from them, unshifted.

    Returns:
        Columns `row_id` and `input_ids`, those of the kind of model (`TextKind.list_columns` and
        `number_columns`), and `group`, which counts `rendering.group_names`. What was cut or left out is
        said by `notes_of`.

    Raises:
        RowError: rows of this kind cannot teach such a model, or some rows cannot be rendered: a prompt
            leaves no room for an answer, a rationale is missing, a label is none of `label_names`.
        ModelError: the tokenizer lacks what is needed (an end token; characters of tokens for chats).
    """
    kind = checked_kind(rows, rendering)
    make = text_kind(rendering.model_kind).examples
    notes: Counter[str] = Counter()
    problems: list[Problem] = []
    tables = [
        table_of(make(some, kind, tokenizer, rendering, notes=notes, problems=problems), rendering)
        for some in batches(rows, rendering, problems)
    ]
    gone = refused_or_left_out(rows, problems, rendering.max_length, notes)
    return rendered_rows(without(tables, gone) or [table_of([], rendering)], notes)


def checked_kind(rows: Dataset, rendering: Rendering) -> Kind:
    """The kind of `rows`; RowError where they cannot teach such a model or such a task."""
    kind = kind_of(rows.column_names)
    refuse_kind(
        kind, _TASKS.get(rendering.task, text_kind(rendering.model_kind).row_kinds), _purpose(rendering)
    )
    if rendering.task == "two_task" and "rationale" not in rows.column_names:
        raise RowError(
            f"rows must have the column `rationale` for two_task, got {', '.join(rows.column_names)}. "
            "Rename one with columns: {rationale: llm_rationale}."
        )
    return kind


def batches(rows: Dataset, rendering: Rendering, problems: list[Problem]) -> Iterator[list[dict[str, Any]]]:
    """Rows to tokenise in one call; those with a row that lacks a rationale add to `problems` instead."""
    for start in range(0, len(rows), _CHUNK):
        some = rows.select(range(start, min(start + _CHUNK, len(rows)))).to_list()
        missing = without_rationale(some) if rendering.task == "two_task" else []
        problems += missing
        if not missing:
            yield some


def rendered_rows(tables: Sequence[pa.Table], notes: Mapping[str, int]) -> Dataset:
    """Tables of examples as one, with what `notes_of` says of them."""
    rendered = rows_of(pa.concat_tables(tables))
    rendered.info.description = "\n".join(f"{what}: {count}." for what, count in notes.items() if count)
    return rendered


def notes_of(rendered: Dataset) -> list[str]:
    """What `render` cut, added or left out, one sentence each with its count; kept by `save_to_disk`."""
    return [line for line in rendered.info.description.split("\n") if line]


def table_of(examples: Sequence[Any], rendering: Rendering) -> pa.Table:
    """Examples as the columns that `render` returns."""
    kind = text_kind(rendering.model_kind)
    columns: dict[str, pa.Array] = {"row_id": pa.array([example.row_id for example in examples], pa.string())}
    for name, dtype in (("input_ids", np.int32), *kind.list_columns):
        columns[name] = list_column([getattr(example, name) for example in examples], dtype)
    for name in kind.number_columns:
        columns[name] = pa.array([getattr(example, name) for example in examples], pa.int64())
    if rendering.group_names:
        columns["group"] = pa.array([example.group for example in examples], pa.int64())
    return pa.table(columns)


def _purpose(rendering: Rendering) -> str:
    return f"a {rendering.model_kind} model" if rendering.task == "default" else rendering.task
