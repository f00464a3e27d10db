"""A teacher in this process: a frozen model."""

from typing import Self

import torch
from torch import nn

from limbeck.core.batch import Batch
from limbeck.core.errors import VocabularyError
from limbeck.core.outputs import Needs, Outputs
from limbeck.core.reader import Reader


class LocalTeacher:
    """A frozen model that answers batches; dropout stays off, gradients never flow into it.

    Args:
        model: a transformers model (or a PEFT model around one); frozen and put in eval mode.
        vocabulary: number of token ids shared with the student (`shared_vocabulary`); columns
            beyond it are cut off. None keeps all, as for class scores.

    Raises:
        VocabularyError: the model's head has fewer columns than `vocabulary`.
    """

    def __init__(self, model: nn.Module, vocabulary: int | None) -> None:
        self.model = model.requires_grad_(False).eval()
        self.reader = Reader(model, vocabulary).probe()
        _check_head(self.reader)

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """What `needs` asks for, for every position of `batch`; on the device of the batch."""
        self.model.eval()  # someone may have called train() on a module that holds the teacher
        # Not inference_mode: its tensors cannot be saved by the objectives' autograd functions.
        with torch.no_grad():
            return self.reader.read(batch.inputs, needs)

    def to(self, device: torch.device | str) -> Self:
        """Move the model to a device; returns itself."""
        self.model.to(device)
        return self


def _check_head(reader: Reader) -> None:
    head = reader.plain.get_output_embeddings() if hasattr(reader.plain, "get_output_embeddings") else None
    rows = getattr(getattr(head, "weight", None), "shape", (None,))[0]
    if reader.vocabulary is not None and rows is not None and reader.vocabulary > rows:
        raise VocabularyError(
            f"shared vocabulary must fit the teacher's head of {rows} ids, got {reader.vocabulary}. "
            "Compute it with shared_vocabulary."
        )
