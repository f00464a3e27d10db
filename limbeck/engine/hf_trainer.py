"""The same terms inside `transformers.Trainer`, for people who must stay there.

One party, a teacher that answers live, no preparation: what needs more needs `engine.train`.
One optimizer step of both is equal.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from transformers import Trainer, TrainingArguments

from limbeck.core.batch import Batch, Source
from limbeck.core.errors import ConfigError
from limbeck.core.outputs import Outputs
from limbeck.engine.order import Shuffles
from limbeck.engine.party import Learner, Party


class _Entries(Dataset[int]):
    """Entry numbers in the order of `engine.order`; the source is asked while collating."""

    def __init__(self, entries: int, seed: int) -> None:
        self._shuffled = Shuffles(entries, seed).take(0, entries)

    def __len__(self) -> int:
        return len(self._shuffled)

    def __getitem__(self, place: int) -> int:
        return self._shuffled[place]


class DistilTrainer(Trainer):
    """A `transformers.Trainer` whose loss is a limbeck criterion.

    Args:
        party: what is trained, and on which terms; `party.settings` is not read here: optimizer,
            batch sizes and lengths are `args`'.
        source: entries to learn from.
        answer: asks the teacher about a batch; None when no term reads a teacher.
        args: transformers' arguments; `remove_unused_columns` must be False.
        options: passed to `Trainer` (callbacks, optimizers ...).

    Raises:
        ConfigError: a term reads a teacher and there is none, or chunks of text, the party balances its
            terms, or `args` would drop columns.
    """

    # Trainer must not divide by the accumulation steps: terms are divided by the window's counts.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        party: Party,
        source: Source,
        *,
        answer: Callable[[Batch], Outputs] | None,
        args: TrainingArguments,
        options: dict[str, Any] | None = None,
    ) -> None:
        if party.criterion.teacher_needs and answer is None:
            raise ConfigError("answer must be given, got None; a term reads the teacher.")
        if party.balance is not None:
            raise ConfigError(
                f"balance must be None in a transformers.Trainer, which sees one micro-batch at a time, got "
                f"'{party.balance}'. Train with limbeck.engine.train."
            )
        if party.criterion.teacher_needs.chunks:
            raise ConfigError(
                "terms must not read chunks of text here, got one that does: how many there are is known "
                "when the teacher has answered. Use engine.train."
            )
        if args.remove_unused_columns:
            raise ConfigError("remove_unused_columns must be False, got True; rows come from the source.")
        self._answer, self._source = answer, source
        super().__init__(
            model=Learner(party),
            args=args,
            train_dataset=_Entries(len(source), args.seed),
            data_collator=lambda entries: {"batch": source.batch(entries)},
            **(options or {}),
        )

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches in the order of `engine.train`, so that both loops see the same rows in the same steps."""
        loader = DataLoader(
            self.train_dataset, batch_size=self.args.train_batch_size, collate_fn=self.data_collator
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor | int | None]:
        """The window's batches and the units of every term in it, over all ranks: [terms, 4]."""
        window, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        return window, self._counts([sample["batch"] for sample in window], device)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """This batch's part of the loss of its window."""
        batch = inputs["batch"].to(self.args.device)
        answer = None
        if self._answer is not None:
            with torch.no_grad():
                answer = self._answer(batch)
        if num_items_in_batch is None:  # evaluation: the batch is its own window
            num_items_in_batch = self._counts([batch], self.args.device)
        moment = {"step": self.state.global_step, "total_steps": max(1, self.state.max_steps)}
        loss, _ = model(batch, answer, counts=num_items_in_batch, **moment)
        # Ranks average their gradients; the parts of the loss add up.
        loss = loss * self.accelerator.num_processes
        return (loss, {}) if return_outputs else loss

    def _counts(self, window: Sequence[Batch], device: torch.device) -> Tensor:
        criterion = self.accelerator.unwrap_model(self.model).criterion
        counts = torch.stack([criterion.counts(batch) for batch in window]).sum(0).to(device)
        reduced: Tensor = self.accelerator.reduce(counts, reduction="sum")
        return reduced

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the student as a plain transformers folder."""
        if self.is_world_process_zero():
            self.accelerator.unwrap_model(self.model).model.save_pretrained(
                output_dir or self.args.output_dir
            )
