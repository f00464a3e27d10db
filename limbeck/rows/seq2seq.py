"""Rows for an encoder-decoder model: what the encoder reads and what the decoder must write."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from limbeck.core.errors import Problem
from limbeck.core.lineage import is_finished
from limbeck.core.targets import encode_targets, target_marks
from limbeck.rows.causal import messages_of
from limbeck.rows.chat import Messages, Segment, TemplateError, chat_prompt, turns_in_loss
from limbeck.rows.exchange import Exchange, exchanges
from limbeck.rows.given import target_of
from limbeck.rows.kinds import Kind
from limbeck.rows.marks import marks_of
from limbeck.rows.plain import said_by
from limbeck.rows.problems import Unrendered
from limbeck.rows.rendering import GROUPS, INPUTS_CUT, Rendering, example_suffix
from limbeck.rows.tokens import Ids, encode, encode_whole, end_id
from limbeck.rows.turns import seen_by_template

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Row = Mapping[str, Any]


class Seq2SeqExample(NamedTuple):
    """Encoder ids [n] and unshifted decoder targets [m]."""

    row_id: str
    input_ids: Ids
    target_ids: Ids
    group: int = 0


def seq2seq_examples(
    rows: Sequence[Row],
    kind: Kind,
    tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    *,
    notes: Counter[str],
    problems: list[Problem],
) -> list[Seq2SeqExample]:
    """The examples of `rows`; adds to `notes` and `problems`.

    Inputs are cut at `max_length` with the tokenizer's closing token kept, as in the official code of
    distilling step-by-step. Targets have the tokenizer's own marks (`core.targets`), the end token among
    them, and are cut at `max_target_length`; a cut target has no end token (the official code puts one
    there, which teaches the model to stop early), and neither has one whose writer was cut short.
    Of a conversation the last assistant turn is the target and all before it the input.
    """
    pairs: list[Exchange] = []
    finished: list[bool] = []
    for row in rows:
        try:
            pairs += _pairs(row, kind, tokenizer, rendering)
        except TemplateError as error:
            problems.append(Unrendered.of(row["id"], str(error), error.advice))
        finished += [is_finished(row)] * (len(pairs) - len(finished))
    prompts = [pair.prompt for pair in pairs]
    sources, _, cut = encode_whole(tokenizer, prompts, max_length=rendering.max_length)
    notes[INPUTS_CUT] += cut
    targets = _targets([pair.target for pair in pairs], finished, tokenizer)
    limit = rendering.max_target_length
    examples = []
    for pair, source, target in zip(pairs, sources, targets, strict=True):
        notes["targets cut at max_target_length, so that their end is not taught"] += len(target) > limit
        examples.append(Seq2SeqExample(pair.row_id, source, target[:limit], pair.group))
    return examples


def _targets(
    texts: Sequence[str], finished: Sequence[bool], tokenizer: "PreTrainedTokenizerBase"
) -> list[Ids]:
    """Ids of the targets; of one that is not finished without what the tokenizer puts behind it."""
    before, behind = target_marks(tokenizer)
    marks = marks_of(tokenizer)
    # Some tokenizers mark no targets, and some models know no other end than their separator (ProphetNet).
    end = [] if behind else [end_id(tokenizer)]
    found = []
    plain = encode_targets(tokenizer, [marks.show(text) for text in texts])
    for text, ids, ends in zip(texts, plain, finished, strict=True):
        if marks.hidden.search(text):
            ids = [*before, *encode(tokenizer, [text])[0].tolist(), *behind]
        whole = ids + end if ends else ids[: len(ids) - len(behind)]
        found.append(np.asarray(whole, dtype=np.int32))
    return found


def text_of(segments: Sequence[Segment], tokenizer: "PreTrainedTokenizerBase") -> str:
    """Segments as one text, the end token spelt out where a turn ends."""
    return "".join(s.text + (tokenizer.eos_token or "" if s.ends else "") for s in segments)


def _pairs(
    row: Row, kind: Kind, tokenizer: "PreTrainedTokenizerBase", rendering: Rendering
) -> list[Exchange]:
    if messages_of(row, kind) is None:
        found = exchanges(row, kind, rendering, tokenizer.eos_token or "")
        return [one._replace(target=target_of(one.target, row, tokenizer)) for one in found]
    return [
        _last_exchange(row, kind, messages_of(row, kind, answer) or [], group, tokenizer)
        for group, answer in enumerate(rendering.answers)
    ]


def _last_exchange(
    row: Row, kind: Kind, messages: Messages, group: int, tokenizer: "PreTrainedTokenizerBase"
) -> Exchange:
    last = max(k for k, turn in enumerate(messages) if turn["role"] == "assistant")
    turns_in_loss(messages[last : last + 1], "all_assistant", empty_too=kind is Kind.PREFERENCE)
    segments = chat_prompt(messages[:last], tokenizer, tools=row.get("tools"))
    row_id = row["id"] + example_suffix(GROUPS["preference"][group]) if group else row["id"]
    (turn,) = seen_by_template(messages[last : last + 1], None)
    target = target_of(said_by(turn, is_cut=not is_finished(row)), row, tokenizer)
    return Exchange(row_id, text_of(segments, tokenizer), target, group)
