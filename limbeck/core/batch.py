"""A micro-batch: what models read and what they must learn, already aligned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor

from limbeck.core.masks import IGNORE


@dataclass(frozen=True)
class Batch:
    """One micro-batch.

    Attributes:
        inputs: arguments of the model's forward: `input_ids` [B, T] and, by the kind of model,
            `attention_mask` [B, T], `position_ids` [B, T] (packed rows; then no attention mask),
            `token_type_ids`, `decoder_input_ids` [B, U].
        targets: what each output must predict: [B, T] (or [B, U] for a decoder) token ids aligned
            with the outputs, [B] class ids, `IGNORE` where nothing is learnt; None without labels.
        groups: like `targets`, the index into `group_names` of the task a unit belongs to; or None.
        group_names: names of the tasks or sources that terms choose with `on`.
        signals: name -> one number for each entry of `targets` (`core.signals.BATCH_SIGNALS` and the
            weights that terms name with `weighted_by`).
        main_input_name: the input that holds what is read, [B, T, ...], as models of transformers name it.
        packed_lengths: tokens of each row that are no padding, where no attention mask says so (packs).
        row_ids: for every row of the batch, the ids of the data rows in it (several when packed).
    """

    inputs: Mapping[str, Tensor]
    targets: Tensor | None
    row_ids: Sequence[Sequence[str]]
    groups: Tensor | None = None
    group_names: tuple[str, ...] = field(default=())
    packed_lengths: Sequence[int] | None = None
    signals: Mapping[str, Tensor] = field(default_factory=dict)
    main_input_name: str = "input_ids"

    @property
    def main_input(self) -> Tensor:
        """[B, T, ...] what is read."""
        return self.inputs[self.main_input_name]

    @property
    def per_row(self) -> bool:
        """Whether there is one target a row."""
        return self.targets is not None and self.targets.dim() == 1

    @property
    def per_token(self) -> bool:
        """Whether there is a target at each output position."""
        return self.targets is not None and self.targets.dim() > 1

    @property
    def sequences(self) -> Tensor:
        """Like `targets`: the number of the sequence each unit belongs to, counted from 0 in the batch."""
        assert self.targets is not None
        rows = torch.arange(self.targets.shape[0], device=self.targets.device)
        if self.per_row:
            return rows
        positions = self.inputs.get("position_ids")
        if positions is None or "attention_mask" in self.inputs:
            return rows[:, None].expand_as(self.targets)
        # A pack has no mask; positions that start again tell its rows apart.
        return ((positions == 0).flatten().cumsum(0) - 1).view_as(positions)

    @property
    def loss_mask(self) -> Tensor | None:
        """True at the units of `targets` that are learnt from; None without labels."""
        return None if self.targets is None else self.targets != IGNORE

    @property
    def attention_mask(self) -> Tensor:
        """[B, T] 1 at tokens, 0 at padding; of the decoder for a seq2seq model."""
        if "decoder_input_ids" in self.inputs:
            assert self.targets is not None
            return (self.targets != IGNORE).long()
        mask, read = self.inputs.get("attention_mask"), self.main_input
        if mask is None and self.packed_lengths is not None:
            lengths = torch.tensor(self.packed_lengths, device=read.device)
            return (torch.arange(read.shape[1], device=read.device) < lengths[:, None]).long()
        return read.new_ones(read.shape[:2], dtype=torch.long) if mask is None else mask

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self.main_input.device

    @property
    def rows(self) -> int:
        """B."""
        return len(self.row_ids)

    @property
    def tokens(self) -> int:
        """Tokens that the model reads, padding left out."""
        if self.packed_lengths is not None:
            return sum(self.packed_lengths)
        mask = self.inputs.get("attention_mask")
        read = self.main_input.shape[:2].numel() if mask is None else int(mask.sum())
        decoder = self.inputs.get("decoder_input_ids")
        loss_mask = self.loss_mask
        return read + (int(loss_mask.sum()) if decoder is not None and loss_mask is not None else 0)

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on `device`."""
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in self.inputs.items()}
        return replace(
            self,
            inputs=moved,
            targets=None if self.targets is None else self.targets.to(device),
            groups=None if self.groups is None else self.groups.to(device),
            signals={name: tensor.to(device) for name, tensor in self.signals.items()},
        )


class Source(Protocol):
    """What the engine draws from: entries (rows, or packs of rows) by index."""

    def __len__(self) -> int:
        """Number of entries."""

    def batch(self, indices: Sequence[int]) -> Batch:
        """The entries at `indices`, collated in that order."""

    def fingerprint(self) -> str:
        """Equal for equal entries in the same order: row ids, token ids, targets."""
