"""A teacher that was asked before: its answers come from a store."""

from dataclasses import replace
from typing import Self

import torch

from limbeck.core.batch import Batch
from limbeck.core.errors import StoreError
from limbeck.core.needs import DISTRIBUTION, Needs
from limbeck.core.outputs import Outputs
from limbeck.core.signals import Head
from limbeck.signals.reader import Signals


class StoredTeacher:
    """Answers batches from a store; no model is in memory.

    Args:
        signals: the store.
        vocabulary: number of token ids shared with the student; columns of a stored head beyond it
            are cut off. None keeps all.
    """

    def __init__(self, signals: Signals, vocabulary: int | None) -> None:
        self.signals, self.vocabulary = signals, vocabulary
        self._heads: dict[torch.device, Head] = {}

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """The stored distribution of every position of `batch` that learns; on the device of the batch.

        Raises:
            StoreError: something else than a distribution is needed, or rows are not in the store.
        """
        if needs - DISTRIBUTION:
            raise StoreError(
                "a stored teacher must be asked for its distribution alone, got inner layers "
                "or its space. Train with a model as the teacher."
            )
        if not needs:
            return Outputs()
        device = batch.device
        if self.signals.payload.topk is not None:
            return Outputs(topk=self.signals.topk(batch).each(lambda part: part.to(device)))
        hidden, head = self.signals.hidden(batch)
        return Outputs(hidden=hidden.to(device), head=self._head(head, device))

    def to(self, device: torch.device | str) -> Self:
        """Answers follow the batch; returns itself."""
        return self

    def _head(self, head: Head, device: torch.device) -> Head:
        if device not in self._heads:
            bias = None if head.bias is None else head.bias[: self.vocabulary].to(device)
            self._heads[device] = replace(head, weight=head.weight[: self.vocabulary].to(device), bias=bias)
        return self._heads[device]
