"""Prompts alone, as the model reads them before it answers: for rollouts and for evaluation."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Dataset

from limbeck.core.errors import Problem
from limbeck.core.kinds import kind_named
from limbeck.rows.causal import Piece, encoded, messages_of
from limbeck.rows.chat import Segment, TemplateError, chat_prompt
from limbeck.rows.exchange import has_exchange, prompt_of
from limbeck.rows.given import day_of, prompt_of_row, reads_marks, turns_of_row
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.problems import Unrendered, refuse_kind, refuse_rendering, refuse_rows
from limbeck.rows.ragged import list_column
from limbeck.rows.rendering import Rendering
from limbeck.rows.seq2seq import text_of
from limbeck.rows.tables import rows_of
from limbeck.rows.tokens import encode_whole
from limbeck.rows.too_long import TOO_LONG

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def render_prompts(rows: Dataset, tokenizer: "PreTrainedTokenizerBase", rendering: Rendering) -> Dataset:
    """The prompts of `rows`, token for token as `rows.render.render` puts them before an answer.

    A conversation is taken up to its last assistant turn; with `two_task` the prompt is the label's.

    Returns:
        Columns `row_id` and `input_ids` (begin token included), one row a row; without those that are too
        long where the rows say so (`rows.too_long`).

    Raises:
        RowError: the rows have no prompts, or prompts of a causal model reach `max_length`.
    """
    kind = kind_of(rows.column_names)
    accepted = [one for one in Kind if has_exchange(one) or one in (Kind.MESSAGES, Kind.PROMPT)]
    refuse_kind(kind, accepted, "prompts")
    pieces: list[Piece] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            with day_of(row):
                pieces.append(_prompt(row, kind, tokenizer, rendering))
        except TemplateError as error:
            problems.append(Unrendered.of(row["id"], str(error), error.advice))
    refuse_rendering(problems, rendering.max_length)
    names = list(rows["id"])
    if kind_named(rendering.model_kind).encoder_decoder:
        texts = [text_of(piece.segments, tokenizer) for piece in pieces]
        ids, _, _ = encode_whole(tokenizer, texts, max_length=rendering.max_length)
    else:
        ids = [example.input_ids for example in encoded(pieces, tokenizer)]
        limit = rendering.max_length
        problems = [
            Problem(f"row {row_id}", f"its prompt must be shorter than max_length {limit}, got {len(one)}.")
            for row_id, one in zip(names, ids, strict=True)
            if len(one) >= limit
        ]
        if TOO_LONG not in rows.column_names or len(problems) == len(rows):
            advice = "Raise max_length, or leave these rows out with too_long: drop in the load step."
            refuse_rows(problems, advice)
        found = zip(names, ids, strict=True)
        short = [(name, one) for name, one in found if len(one) < limit]
        names, ids = [name for name, _ in short], [one for _, one in short]
    return rows_of(pa.table({"row_id": pa.array(names, pa.string()), "input_ids": list_column(ids)}))


def _prompt(
    row: Mapping[str, Any], kind: Kind, tokenizer: "PreTrainedTokenizerBase", rendering: Rendering
) -> Piece:
    messages = row["prompt"] if kind is Kind.PROMPT else messages_of(row, kind)
    if isinstance(messages, list):
        answers = [k for k, turn in enumerate(messages) if turn["role"] == "assistant"]
        before = messages if kind is Kind.PROMPT else messages[: answers[-1]]
        hides = reads_marks(row) != "parse"
        turns = turns_of_row(row, before, tokenizer)
        segments = chat_prompt(turns, tokenizer, tools=row.get("tools"), hides=hides)
        return Piece(row["id"], segments, joined=tokenizer.chat_template is not None)
    if not kind_named(rendering.model_kind).encoder_decoder:
        return Piece(row["id"], [prompt_of_row(row, kind, tokenizer, rendering)])
    prompt = prompt_of(row, kind, tokenizer.eos_token or "")
    prompt = rendering.task_prefix + prompt
    return Piece(row["id"], [Segment(prompt, False)])
