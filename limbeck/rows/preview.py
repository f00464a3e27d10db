"""Rendered rows as a person reads them: the text of the tokens, and which of it is in the loss."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.compute as pc
from datasets import Dataset

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OPENS, CLOSES = "⟦", "⟧"
"""Around what is in the loss, where there is no colour."""


class Stretch(NamedTuple):
    """Neighbouring tokens as text, and whether they are in the loss."""

    text: str
    in_loss: bool


class Preview(NamedTuple):
    """One example.

    Attributes:
        row_id: as the example is named.
        tokens: how many the model reads (of a seq2seq model, and writes).
        in_loss: how many of them are in the loss.
        stretches: the text.
    """

    row_id: str
    tokens: int
    in_loss: int
    stretches: list[Stretch]

    @property
    def marked(self) -> str:
        """The text, what is in the loss between `⟦` and `⟧`."""
        return "".join(f"{OPENS}{one.text}{CLOSES}" if one.in_loss else one.text for one in self.stretches)


def previews(rendered: Dataset, tokenizer: "PreTrainedTokenizerBase", count: int) -> list[Preview]:
    """The first examples of what `rows.render.render` returned."""
    return [_preview(rendered[place], tokenizer) for place in range(min(count, len(rendered)))]


def totals(rendered: Dataset) -> tuple[int, int]:
    """All tokens of what `rows.render.render` returned, and those of them that are in the loss."""
    names, table = rendered.column_names, rendered.with_format("arrow")[:]
    ids, written = table["input_ids"], table["target_ids"] if "target_ids" in names else None
    read = int(pc.sum(pc.list_value_length(ids)).as_py() or 0)
    if written is not None:
        in_loss = int(pc.sum(pc.list_value_length(written)).as_py() or 0)
        return read + in_loss, in_loss
    if "is_target" not in names:
        return read, 0
    flags = table["is_target"]
    in_loss = int(pc.sum(pc.list_flatten(flags)).as_py() or 0)
    return read, in_loss - int(pc.sum(pc.list_element(flags, 0)).as_py() or 0)  # the first is never predicted


def _preview(row: Mapping[str, Any], tokenizer: "PreTrainedTokenizerBase") -> Preview:
    ids, flags = list(row["input_ids"]), list(row.get("is_target", [False] * len(row["input_ids"])))
    ids += (targets := list(row.get("target_ids", [])))
    flags += [True] * len(targets)
    flags[:1] = flags[:1] if targets else [False]  # nothing predicts the first token of a text
    return Preview(row["row_id"], len(ids), sum(flags), _stretches(ids, flags, tokenizer))


def _stretches(
    ids: Sequence[int], flags: Sequence[bool], tokenizer: "PreTrainedTokenizerBase"
) -> list[Stretch]:
    found = []
    for in_loss, tokens in groupby(zip(ids, flags, strict=True), key=lambda one: bool(one[1])):
        text = tokenizer.decode([token for token, _ in tokens], clean_up_tokenization_spaces=False)
        found.append(Stretch(text, in_loss))
    return found
