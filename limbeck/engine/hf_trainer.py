"""The same terms inside `transformers.Trainer`, for people who must stay there.

One party, a teacher that answers live, no preparation: what needs more needs `engine.train`.
The steps of both are equal, in their number and order too. `limbeck.DistilTrainer` makes party and source
out of models and data.
"""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from limbeck.core.batch import Batch, Source
from limbeck.core.errors import ConfigError
from limbeck.core.files import read_json, write_json
from limbeck.core.term import Trainable, value_at
from limbeck.engine.checkpoint import load_schedule_states, schedule_states
from limbeck.engine.order import Shuffles
from limbeck.engine.party import Learner, Party
from limbeck.engine.summed import summed_in_step

_SCHEDULES, _TRAINABLE = "schedules.json", "trainable.pt"


class DistilTrainer(Trainer):
    """A `transformers.Trainer` whose loss is a limbeck criterion.

    An epoch is as many whole steps as cover all entries; steps run on across epochs, as in `engine.train`.

    Args:
        party: what is trained, on which terms, and whom it asks; `party.settings` is not read here:
            optimizer, batch sizes and lengths are `args`'.
        source: entries to learn from.
        args: transformers' arguments; copied.
        held_out: entries that `evaluate` measures the loss on, one source or several by name.
        options: passed to `Trainer` (processing_class, callbacks, optimizers ...).

    Raises:
        ConfigError: a term reads a teacher and there is none, or chunks of text; the party balances its
            terms; `args` smooth labels.
    """

    # Trainer must not divide by the accumulation steps: terms are divided by the window's counts.
    loss_is_scaled_for_ga = True

    def __init__(
        self,
        party: Party,
        source: Source,
        *,
        args: TrainingArguments,
        held_out: Source | Mapping[str, Source] | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        _check(party, args)
        learner = Learner(party, ranks=args.world_size)
        self._answer, self._source, self._learner = party.answer, source, learner
        self._terms = party.criterion.terms
        self._sums = torch.zeros(1 + len(self._terms))
        self._means: dict[str, float] = {}
        self._of_step: Mapping[str, Tensor] | None = None
        self._step_entries = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        self._epoch_steps = max(1, -(-len(source) // self._step_entries))
        super().__init__(
            model=learner,
            args=_own(args, party.model, len(source), self._step_entries),
            train_dataset=_Numbers(len(source)),
            eval_dataset=held_out,
            data_collator=lambda entries: {"batch": source.batch(entries)},
            **(options or {}),
        )
        self.add_callback(_InStep(self))

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Batches in the order of `engine.train`, so that both loops see the same rows in the same steps."""
        seed = self.args.seed if self.args.data_seed is None else self.args.data_seed
        stream = _Stream(
            Shuffles(len(self._source), seed),
            self._epoch_steps * self._step_entries,
            lambda: int(self.state.global_step) // self._epoch_steps,
        )
        loader = DataLoader(
            self.train_dataset,
            batch_size=self.args.train_batch_size,
            sampler=stream,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
        )
        prepared: DataLoader[Any] = self.accelerator.prepare(loader)
        return prepared

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        """This rank's batches of a source: one given here, one of several by name, or the only one."""
        chosen = self.eval_dataset if eval_dataset is None else eval_dataset
        source: Any = self.eval_dataset[chosen] if isinstance(chosen, str) else chosen
        if source is None:
            raise ConfigError("evaluate needs held-out rows, got none. Give eval_dataset.")
        size, place = self.args.eval_batch_size, self.args.process_index
        entries = list(range(len(source)))
        batches = [entries[start : start + size] for start in range(0, len(entries), size)]
        mine: Any = batches[place :: self.args.world_size]
        return DataLoader(
            _Numbers(len(source)),
            batch_sampler=mine,
            collate_fn=lambda chosen: {"batch": source.batch(chosen)},
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor | int | None]:
        """The window's batches and the units of every term in it, over all ranks: [terms, 4]."""
        window, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._sums = torch.zeros(1 + len(self._terms), device=device)
        batches = [sample["batch"] for sample in window]
        self._learner.train()  # as it is when the window is learnt from
        self._of_step = self._summed_in(batches)
        return window, self._counts(batches, device)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """This batch's part of the loss of its window."""
        batch, sums = inputs["batch"].to(self.args.device), self._of_step
        if num_items_in_batch is None:  # outside of training: the batch is its own window
            num_items_in_batch, sums = self._counts([batch], self.args.device), None
        loss, means = self._parts(model, batch, num_items_in_batch, sums)
        self._sums = self._sums.to(loss.device) + torch.cat([loss.detach()[None], means])
        # Ranks average their gradients; the parts of the loss add up.
        loss = loss * self.accelerator.num_processes
        return (loss, {}) if return_outputs else loss

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """The loss and the mean of each term over all held-out units, however they are batched."""
        batches = [sample["batch"] for sample in dataloader]
        counts = self._counts(batches, self.args.device)
        sums = torch.zeros(1 + len(self._terms), device=self.args.device)
        was_training = self._learner.training
        self._learner.eval()
        with torch.no_grad():
            of_step = self._summed_in(batches)
            for batch in batches:
                loss, means = self._parts(self._learner, batch.to(self.args.device), counts, of_step)
                sums += torch.cat([loss[None], means])
        self._learner.train(was_training)
        rows = torch.tensor(sum(batch.rows for batch in batches), device=self.args.device)
        values = self._named(self._sum(sums))
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in values.items()}
        return EvalLoopOutput(None, None, metrics, int(self._sum(rows)))

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """transformers' optimizer; what terms learn has learning rates of its own, and does not decay."""
        if self.optimizer is not None:
            return self.optimizer
        self._learner.trainable.requires_grad_(False)
        optimizer: torch.optim.Optimizer = super().create_optimizer()
        self._learner.trainable.requires_grad_(True)
        for one in self._trainable:
            group = {"params": list(one.module.parameters()), "lr": one.learning_rate, "weight_decay": 0.0}
            optimizer.add_param_group(group)
        return optimizer

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Also the mean of each term in the last step."""
        if "loss" in logs:
            logs = {**logs, **{name: value for name, value in self._means.items() if name != "loss"}}
        super().log(logs, start_time)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the student as a plain transformers folder, with its tokenizer where one was given."""
        if not self.is_world_process_zero():
            return
        folder = output_dir or self.args.output_dir
        self._learner.model.save_pretrained(folder)  # type: ignore[operator]
        if self.processing_class is not None:
            self.processing_class.save_pretrained(folder)

    # What a checkpoint holds beside the student, and how it is read back.

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.is_world_process_zero():
            write_json(Path(output_dir) / _SCHEDULES, schedule_states(self._terms))
            torch.save(self._learner.trainable.state_dict(), Path(output_dir) / _TRAINABLE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        folder, student = Path(resume_from_checkpoint), self._learner.model
        if hasattr(student, "peft_config"):
            from peft import load_peft_weights, set_peft_model_state_dict

            set_peft_model_state_dict(student, load_peft_weights(str(folder)))
        else:
            kept = type(student).from_pretrained(folder, dtype=student.dtype)  # type: ignore[attr-defined]
            student.load_state_dict(kept.state_dict())
        load_schedule_states(self._terms, read_json(folder / _SCHEDULES))
        trainable = torch.load(folder / _TRAINABLE, weights_only=True, map_location=self.args.device)
        self._learner.trainable.load_state_dict(trainable)

    def _load_best_model(self) -> None:
        self._load_from_checkpoint(str(self.state.best_model_checkpoint))

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        apart = set(self._learner.trainable.parameters())
        own = [parameter for parameter in model.parameters() if parameter not in apart]
        return self.accelerator.clip_grad_norm_(own, self.args.max_grad_norm)

    # One batch, and one step.

    def _parts(
        self, model: nn.Module, batch: Batch, counts: Any, sums: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, Tensor]:
        answer = None
        with self.accelerator.autocast():
            if self._answer is not None:
                with torch.no_grad():
                    answer = self._answer(batch)
            moment = {"step": self.state.global_step, "total_steps": max(1, self.state.max_steps)}
            loss, means = model(batch, answer, counts=counts, sums=sums, **moment)
        return loss, means

    def _observe(self) -> None:
        """Tell schedules the metrics of the finished step."""
        self._means = self._named(self._sum(self._sums))
        for term in self._terms:
            metrics = {**self._means, "own": self._means[term.name]}
            for schedule in term.schedules.values():
                schedule.observe(self.state.global_step - 1, self.state.max_steps, metrics)

    @property
    def _trainable(self) -> list[Trainable]:
        return [term.trainable for term in self._terms if term.trainable is not None]

    @property
    def _watches(self) -> bool:
        return any(term.schedules for term in self._terms)

    def _scale_trainable(self) -> None:
        """Scale and clip the gradients of what terms learn, just before the update."""
        for one in self._trainable:
            scale = value_at(one.gradient_scale, self.state.global_step, self.state.max_steps)
            for parameter in one.module.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(scale)
            if self.args.max_grad_norm:
                self.accelerator.clip_grad_norm_(one.module.parameters(), self.args.max_grad_norm)

    def _counts(self, window: Sequence[Batch], device: torch.device) -> Tensor:
        counts = torch.zeros(len(self._terms), 4, dtype=torch.double, device=device)
        for batch in window:
            counts += self._learner.criterion.counts(batch).to(device)
        return self._sum(counts)

    def _summed_in(self, window: Sequence[Batch]) -> Mapping[str, Tensor] | None:
        ranks = self.accelerator.num_processes
        return summed_in_step(self._learner, window, self.accelerator.autocast, self._sum, ranks=ranks)

    def _named(self, values: Tensor) -> dict[str, float]:
        return dict(zip(["loss", *(term.name for term in self._terms)], values.tolist(), strict=True))

    def _sum(self, values: Tensor) -> Tensor:
        if self.accelerator.distributed_type is DistributedType.NO:
            return values
        reduced: Tensor = self.accelerator.reduce(values, reduction="sum")
        return reduced


class _InStep(TrainerCallback):
    def __init__(self, trainer: DistilTrainer) -> None:
        self._trainer = trainer

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._trainer._scale_trainable()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if control.should_log or self._trainer._watches:
            self._trainer._observe()


class _Numbers(Dataset[int]):
    """Entry numbers; the source is asked while collating."""

    def __init__(self, entries: int) -> None:
        self._entries = entries

    def __len__(self) -> int:
        return self._entries

    def __getitem__(self, entry: int) -> int:
        return entry


class _Stream(Sampler[int]):
    """The part of the engine's endless stream that an epoch reads: whole steps."""

    def __init__(self, shuffles: Shuffles, size: int, epoch: Callable[[], int]) -> None:
        self._shuffles, self._size, self._epoch = shuffles, size, epoch

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[int]:
        start = self._epoch() * self._size
        for position in range(start, start + self._size):
            yield from self._shuffles.take(position, 1)


def _check(party: Party, args: TrainingArguments) -> None:
    if party.criterion.teacher_needs and party.answer is None:
        raise ConfigError("the party's answer must be given, got None; a term reads the teacher.")
    if party.balance is not None:
        raise ConfigError(
            f"balance must be None in a transformers.Trainer, which sees one micro-batch at a time, got "
            f"'{party.balance}'. Train with limbeck.engine.train."
        )
    if party.criterion.counts_answers:
        raise ConfigError(
            "terms must not read chunks of text here, got one that does: how many there are is known "
            "when the teacher has answered. Use engine.train."
        )
    if args.label_smoothing_factor:
        raise ConfigError(
            f"label_smoothing_factor must be 0, got {args.label_smoothing_factor:g}: the loss is that of the "
            "objectives. Leave it out."
        )


def _own(args: TrainingArguments, model: nn.Module, entries: int, step_entries: int) -> TrainingArguments:
    """The arguments as this trainer reads them; the user's stay as they are."""
    own = copy.copy(args)
    own.remove_unused_columns = False  # entries come from the source
    if own.max_steps <= 0:
        own.max_steps = max(1, -(-round(own.num_train_epochs * entries) // step_entries))
    if own.gradient_checkpointing:
        options = {"use_reentrant": False}
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)  # type: ignore[operator]
        # Trainer would ask the learner, which is no transformers model.
        own.gradient_checkpointing = own.activation_checkpointing = False
    if own.ddp_find_unused_parameters is None:
        own.ddp_find_unused_parameters = False  # all take part: see `engine.reached`
    return own
