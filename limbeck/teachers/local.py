"""A teacher in this process: a frozen model."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from limbeck.core.batch import Batch
from limbeck.core.errors import VocabularyError
from limbeck.core.forward_model import ForwardModel, project
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs
from limbeck.core.seeds import derived_seed
from limbeck.teachers.routing import rows_by_unit


class LocalTeacher:
    """A frozen model that answers batches; dropout stays off, gradients never flow into it.

    Args:
        model: a transformers model (or a PEFT model around one); frozen and put in eval mode.
        vocabulary: number of token ids shared with the student (`shared_vocabulary`); columns
            beyond it are cut off. None keeps all, as for class scores.
        noise: standard deviation of Gaussian noise on the logits of the positions that are learnt; 0
            leaves every answer as it is, to the last bit. Above 0 the answer is dense, [B, T, V] in
            float32: the fused path, which never holds that, is not taken.
        seed: of the noise. A data row meets the same noise whenever it is read, whatever its batch or pack.

    Raises:
        VocabularyError: the model's head has fewer columns than `vocabulary`.
    """

    def __init__(
        self, model: nn.Module, vocabulary: int | None, *, noise: float = 0.0, seed: int = 0
    ) -> None:
        self.model = model.requires_grad_(False).eval()
        self.reader = ForwardModel(model, vocabulary).probe()
        self.noise, self.seed = noise, seed
        _check_head(self.reader)

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """What `needs` asks for, for every position of `batch`; on the device of the batch."""
        self.model.eval()  # someone may have called train() on a module that holds the teacher
        # Not inference_mode: its tensors cannot be saved by the objectives' autograd functions.
        with torch.no_grad():
            answer = self.reader.read(batch.inputs, needs)
            return _noisy(answer, batch, self.noise, self.seed) if self.noise else answer

    def to(self, device: torch.device | str) -> Self:
        """Move the model to a device; returns itself."""
        self.model.to(device)
        return self


def _noisy(answer: Outputs, batch: Batch, noise: float, seed: int) -> Outputs:
    """The answer with dense logits, and noise where something is learnt (everywhere without targets)."""
    if answer.hidden is not None and answer.head is not None:
        logits = project(answer.hidden, answer.head).float()
    elif answer.logits is not None:
        logits = answer.logits.float().clone()
    else:
        return answer
    names = [name for line in batch.row_ids for name in line]
    for name, where in zip(names, _places(batch, logits, len(names)), strict=True):
        generator = torch.Generator(device=logits.device)
        generator.manual_seed(derived_seed(seed, "teacher-noise", name))
        logits[where] += noise * torch.randn(logits[where].shape, generator=generator, device=logits.device)
    return replace(answer, hidden=None, head=None, logits=logits)


def _places(batch: Batch, logits: Tensor, rows: int) -> Iterator[Any]:
    """Of each data row, where its scores get noise."""
    loss_mask = batch.loss_mask
    if loss_mask is None or logits.dim() == 2:  # [B, C]: the scores of a class have no positions
        yield from range(rows)
        return
    of_unit = rows_by_unit(batch)
    for row in range(rows):
        yield loss_mask & (of_unit == row)


def _check_head(reader: ForwardModel) -> None:
    head = reader.plain.get_output_embeddings() if hasattr(reader.plain, "get_output_embeddings") else None
    rows = getattr(getattr(head, "weight", None), "shape", (None,))[0]
    if reader.vocabulary is not None and rows is not None and reader.vocabulary > rows:
        raise VocabularyError(
            f"shared vocabulary must fit the teacher's head of {rows} ids, got {reader.vocabulary}. "
            "Compute it with shared_vocabulary."
        )
