"""What a kind of model makes of rows of text: examples, and batches of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from limbeck.core.errors import Problem
from limbeck.core.kinds import KindName, ModelKind, kind_named
from limbeck.rows.kinds import Kind
from limbeck.rows.rendered import RenderedRows
from limbeck.rows.rendering import Rendering

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from limbeck.core.batch import Batch

PADDING = -1
"""Sequence id of padding: negative, as `core.masks.next_token_targets` asks."""


class Collated(NamedTuple):
    """Rows of a batch: arguments of the model's forward, and `Batch.targets`."""

    inputs: dict[str, NDArray[np.int64]]
    targets: NDArray[np.int64] | None


class MakesExamples(Protocol):
    """Rows of one kind -> examples with `row_id`, `input_ids` and the kind's columns."""

    def __call__(
        self,
        rows: Sequence[Mapping[str, Any]],
        kind: Kind,
        tokenizer: "PreTrainedTokenizerBase",
        rendering: Rendering,
        *,
        notes: Counter[str],
        problems: list[Problem],
    ) -> Sequence[Any]:
        """Adds what was cut to `notes`, and rows that cannot be rendered to `problems`."""


class TextKind(ModelKind):
    """A kind of model that reads rows of text.

    Attributes:
        row_kinds: rows it can learn from.
        list_columns: beside `input_ids`, what its examples have for each token: (name, dtype).
        number_columns: what its examples have once.
        examples: makes them of rows.
    """

    row_kinds: ClassVar[tuple[Kind, ...]]
    list_columns: ClassVar[tuple[tuple[str, DTypeLike], ...]] = ()
    number_columns: ClassVar[tuple[str, ...]] = ()
    examples: ClassVar[MakesExamples]

    def collate(
        self, rows: RenderedRows, indices: Sequence[int], *, pad: int, decoder_start: int | None
    ) -> Collated:
        """The rows at `indices`, padded on the right, with what each output must predict."""
        raise NotImplementedError

    def drawn(
        self, batch: "Batch", tokenizer: "PreTrainedTokenizerBase", step: Any, *, at: int | str
    ) -> "Batch":
        """A collated batch as it is read at a moment; itself where the kind does not draw.

        Args:
            batch: of `collate`.
            tokenizer: that the rows were rendered with.
            step: a step of a recipe, with its `seed` and the settings of the kind.
            at: an optimizer step, or a word for a use outside of training. A row is drawn by seed, moment
                and its id, whatever is in the batch beside it.
        """
        return batch


def text_kind(name: KindName) -> TextKind:
    """The kind of this name, which reads text."""
    found = kind_named(name)
    assert isinstance(found, TextKind), "rows are text"
    return found


def padded_inputs(
    rows: RenderedRows, indices: Sequence[int], pad: int
) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.bool_]]:
    """`input_ids` and `attention_mask` [B, T], and where they are no padding."""
    input_ids, lengths = rows.padded("input_ids", indices, pad)
    is_read = np.arange(input_ids.shape[1]) < lengths[:, None]
    return {"input_ids": input_ids, "attention_mask": is_read.astype(np.int64)}, is_read
