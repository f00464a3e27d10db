"""The training loop.

One optimizer step: draw k micro-batches -> transform them (rollouts, selection, noise) -> for each party
whose turn it is: count its units over all of them and all ranks; for each micro-batch ask its teacher,
forward, terms, backward; clip; refuse what is not finite -> update all of them -> validate, in the steps that
have it -> schedules and transforms observe the reduced metrics, once.

A party's answers to the whole window are held only where something must read them first: units that the
teacher counts (chunks of text), terms that are balanced. The first party draws its random numbers (dropout)
from the stream of the run; the others have streams of their own, so that they change nothing in it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from limbeck.core.batch import Batch, Source
from limbeck.core.errors import Interrupted
from limbeck.core.seeds import derived_seed, seed_everything
from limbeck.core.transform import Transform
from limbeck.engine.checkpoint import load_checkpoint, save_checkpoint
from limbeck.engine.interruption import listening
from limbeck.engine.order import micro_batches, order_of, steps_of
from limbeck.engine.party import Party
from limbeck.engine.party_state import PartyState, Step
from limbeck.engine.records import MetricsFile, StepReport, TrainResult

Validation = Callable[[int], Mapping[str, float]]

_RATE_STEPS = 20  # tokens per second are averaged over this many steps


def train(
    parties: Sequence[Party],
    source: Source,
    *,
    folder: Path,
    transforms: Sequence[Transform] = (),
    validate: Validation | None = None,
    on_step: Callable[[StepReport], None] | None = None,
) -> TrainResult:
    """Train one or more parties on a source; continues by itself from `folder/checkpoint`.

    Args:
        parties: with different names. The first one is the student: its settings give batch sizes, steps,
            precision and seed.
        source: entries (rows or packs) to learn from.
        folder: gets `metrics.jsonl` and `checkpoint/`.
        transforms: what happens to a step's micro-batches, in this order.
        validate: measures something after step n (counted from 1), or nothing: metric -> value, equal
            on all ranks.
        on_step: sees every finished step (main process only).

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state was saved after the step in hand.
        NotFiniteError: a loss or gradient was not finite; the update was not made.
        RowError: a step found nothing to learn from.
    """
    return _Training(parties, source, folder, transforms, validate).run(on_step)


class _Training:
    def __init__(
        self,
        parties: Sequence[Party],
        source: Source,
        folder: Path,
        transforms: Sequence[Transform],
        validate: Validation | None,
    ) -> None:
        self.settings = parties[0].settings
        self.source, self.folder, self.transforms, self.validate = source, folder, transforms, validate
        self.accelerator = Accelerator(
            # One per process in accelerate, where the steps of a recipe may differ: see `_autocast`.
            mixed_precision="no",
            log_with=list(self.settings.report_to) or None,
            project_dir=str(folder),
        )
        ranks = self.accelerator.num_processes
        self.step_entries = (
            self.settings.per_device_train_batch_size * self.settings.gradient_accumulation_steps * ranks
        )
        self.total_steps = steps_of(self.settings, len(source), ranks)
        self.order = order_of(self.settings, len(source), self.total_steps * self.step_entries)
        seed_everything(self.settings.seed, "engine", self.accelerator.process_index)
        made = (
            PartyState(party, self.accelerator, self._autocast, self._sum, total_steps=self.total_steps)
            for party in parties
        )
        self.parties = {state.party.name: state for state in made}
        assert len(self.parties) == len(parties), "parties have different names"
        self.student, *self.others = self.parties.values()
        self.done, self.tokens, self.seconds = 0, 0, 0.0
        self.validation: dict[str, float] = {}
        self.beside: dict[str, float] = {}  # what the other parties came to in this step

    def run(self, on_step: Callable[[StepReport], None] | None) -> TrainResult:
        self._resume()
        main = self.accelerator.is_main_process
        metrics = MetricsFile(self.folder / "metrics.jsonl", resumed_at=self.done) if main else None
        self._start_trackers()
        rates: deque[tuple[int, float]] = deque(maxlen=_RATE_STEPS)
        with listening() as interruption:
            while self.done < self.total_steps:
                started, tokens_before = time.perf_counter(), self.tokens
                self._step()
                rates.append((self.tokens - tokens_before, time.perf_counter() - started))
                self.seconds += rates[-1][1]
                report = self._report(rates)
                due = self.done % self.settings.logging_steps == 0 or self._finished or report.validation
                if metrics is not None and due:
                    metrics.append(report)
                if main and on_step is not None:
                    on_step(report)
                self._save_if_due(self._anyone(interruption.asked))
        # Not end_training: it would take down the ranks that later steps of a recipe need.
        for tracker in self.accelerator.trackers:
            tracker.finish()
        return TrainResult(self.done, self.tokens, self.seconds, self.student.loss)

    @property
    def _finished(self) -> bool:
        return self.done == self.total_steps

    # One step, in the order of the module's docstring.

    def _step(self) -> None:
        window = self._window()
        step = Step(window, self.done, self.total_steps)
        learning = [state for state in self.parties.values() if state.party.turn(self.done)]
        for state in learning:
            with self._draws_of(state):
                state.learn(step)
        for state in learning:
            state.update()
        self.beside = {
            f"{state.party.name}/{name}": value
            for state in self.others
            if state in learning
            for name, value in state.report().items()
        }
        self.validation = self._validate()
        self._observe(learning)
        self.tokens += int(self._sum(torch.tensor(sum(batch.tokens for batch in window))))
        self.done += 1

    def _window(self) -> list[Batch]:
        size = self.settings.per_device_train_batch_size
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        mine = micro_batches(self._entries(), size, rank=rank, ranks=ranks)
        window = [self.source.batch(indices).to(self.accelerator.device) for indices in mine]
        # What is written and scored here must come from the forward passes that training sees.
        with torch.no_grad(), self._autocast():
            for transform in self.transforms:
                window = transform(window, self.done, self.total_steps)
        return window

    def _entries(self) -> list[int]:
        stream = (self.done * self.step_entries, self.step_entries)
        for transform in self.transforms:
            chosen = transform.take(*stream)
            if chosen is not None:
                return chosen
        return self.order.take(*stream)

    @contextmanager
    def _draws_of(self, state: PartyState) -> Iterator[None]:
        if state is self.student:
            yield
            return
        device, rank = self.accelerator.device, self.accelerator.process_index
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(derived_seed(self.settings.seed, "party", state.party.name, self.done, rank))
            yield

    def _validate(self) -> dict[str, float]:
        if self.validate is None:
            return {}
        with torch.no_grad(), self._autocast():
            return dict(self.validate(self.done + 1))

    def _observe(self, learning: Sequence[PartyState]) -> None:
        for state in learning:
            for term in state.party.criterion.terms:
                own = {**state.metrics, "own": state.metrics[term.name]}
                for schedule in term.schedules.values():
                    schedule.observe(self.done, self.total_steps, {**self.beside, **own, **self.validation})
        for transform in self.transforms:
            metrics = {**self.beside, **self.student.metrics, **self.validation}
            transform.observe(self.done, self.total_steps, metrics)

    # State: checkpoints, trackers, sums over ranks.

    @cached_property
    def _shape(self) -> dict[str, int | str]:
        ranks = self.accelerator.num_processes
        return {
            "entries": len(self.source),
            "step_entries": self.step_entries,
            "ranks": ranks,
            "parties": ", ".join(self.parties),
            "transforms": ", ".join(type(transform).__name__ for transform in self.transforms),
            "source": self.source.fingerprint(),
        }

    def _resume(self) -> None:
        state = load_checkpoint(self.accelerator, self.folder / "checkpoint", lambda: self._shape)
        if state is None:
            return
        self.done, self.tokens, self.seconds = state["done"], state["tokens"], state["seconds"]
        for name, party in self.parties.items():
            party.load_state_dict(state["parties"][name])
        mine = state["transforms"][self.accelerator.process_index]
        for transform, kept in zip(self.transforms, mine, strict=True):
            transform.load_state_dict(kept)

    def _save_if_due(self, interrupted: bool) -> None:
        every = self.settings.save_steps
        due = every and self.done % every == 0 and not self._finished
        if not (interrupted or due):  # also after the last step: what follows it goes on from there
            return
        state = {
            "done": self.done,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "shape": self._shape,
            "parties": {name: party.state_dict() for name, party in self.parties.items()},
            # Of every rank: what each has written lies in a replay buffer of its own.
            "transforms": gather_object([[transform.state_dict() for transform in self.transforms]]),
        }
        save_checkpoint(self.accelerator, self.folder / "checkpoint", state)
        if interrupted:
            raise Interrupted(
                f"interrupted after step {self.done} of {self.total_steps}; the state was saved."
            )

    def _start_trackers(self) -> None:
        if self.settings.report_to:
            values = self.settings.model_dump(mode="json")
            plain = {
                name: value if isinstance(value, int | float) else str(value)
                for name, value in values.items()
            }
            self.accelerator.init_trackers("limbeck", config=plain)  # TensorBoard takes no lists

    def _report(self, rates: Sequence[tuple[int, float]]) -> StepReport:
        student = self.student
        tokens, seconds = (sum(column) for column in zip(*rates, strict=True))
        if self.settings.report_to:
            rate = {"learning_rate": student.learning_rate}
            self.accelerator.log({**student.metrics, **self.beside, **self.validation, **rate}, self.done)
        return StepReport(
            step=self.done,
            total_steps=self.total_steps,
            loss=student.loss,
            terms={name: value for name, value in student.metrics.items() if name != "loss"},
            learning_rate=student.learning_rate,
            grad_norm=student.grad_norm,
            tokens=self.tokens,
            seconds=self.seconds,
            tokens_per_second=tokens / seconds,
            validation=self.validation,
            parties=self.beside,
        )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.settings.bf16)

    def _sum(self, values: Tensor) -> Tensor:
        if self.accelerator.num_processes == 1:
            return values
        reduced: Tensor = self.accelerator.reduce(values.to(self.accelerator.device), reduction="sum")
        return reduced

    def _anyone(self, asked: bool) -> bool:
        if self.accelerator.num_processes == 1:
            return asked
        return bool(self._sum(torch.tensor(float(asked))) > 0)
