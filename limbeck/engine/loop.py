"""The training loop.

One optimizer step: draw k micro-batches -> prepare them (rollouts, revision) -> count units over all of
them and all ranks -> for each micro-batch: ask the teacher; for each party forward, terms, backward ->
refuse what is not finite -> clip -> update -> watch (validation, in the steps that have it) ->
schedules and followers observe the reduced metrics, once.

Answers of the whole window are held only where something must read them first: units that the teacher
counts (chunks of text), terms that are balanced.
"""

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor

from limbeck.core.batch import Batch, Source
from limbeck.core.errors import Interrupted
from limbeck.core.outputs import Outputs
from limbeck.core.seeds import seed_everything
from limbeck.core.term import Follower
from limbeck.engine.checkpoint import (
    load_checkpoint,
    load_schedule_states,
    save_checkpoint,
    schedule_states,
)
from limbeck.engine.interruption import listening
from limbeck.engine.order import Order, Shuffles, micro_batches, steps_of
from limbeck.engine.party import Party
from limbeck.engine.records import MetricsFile, StepReport, TrainResult
from limbeck.engine.seat import Seat, Step

Answer = Callable[[Batch], Outputs]
Prepare = Callable[[Sequence[Batch], int, int], list[Batch]]
Watch = Callable[[int], Mapping[str, float]]

_RATE_STEPS = 20  # tokens per second are averaged over this many steps


def train(
    parties: Sequence[Party],
    source: Source,
    *,
    answer: Answer | None,
    folder: Path,
    prepare: Prepare | None = None,
    watch: Watch | None = None,
    order: Order | None = None,
    followers: Mapping[str, Follower] | None = None,
    on_step: Callable[[StepReport], None] | None = None,
) -> TrainResult:
    """Train one or more parties on a source; continues by itself from `folder/checkpoint`.

    Args:
        parties: the first one is the student: its settings give batch sizes, steps and seed.
        source: entries (rows or packs) to learn from.
        answer: asks the teacher about a micro-batch on the engine's device; None without one.
        folder: gets `metrics.jsonl` and `checkpoint/`.
        prepare: makes a step's micro-batches out of those drawn (micro-batches, step, total steps);
            units are counted on what it returns.
        watch: measures something after step n (counted from 1), or nothing: metric -> value, equal
            on all ranks.
        order: which entries a step learns from; None: shuffles of all entries.
        followers: whoever else observes metrics and has a state to keep, by name (an order that
            follows the metrics, rollouts with a replay buffer).
        on_step: sees every finished step (main process only).

    Raises:
        Interrupted: Ctrl-C or SIGTERM; the state was saved after the step in hand.
        NotFiniteError: a loss or gradient was not finite; the update was not made.
        RowError: a step found nothing to learn from.
    """
    order = order or Shuffles(len(source), parties[0].settings.seed)
    around = _Around(answer, prepare, watch, order, dict(followers or {}))
    return _Training(parties, source, around, folder).run(on_step)


@dataclass(frozen=True)
class _Around:
    """What surrounds a step."""

    answer: Answer | None
    prepare: Prepare | None
    watch: Watch | None
    order: Order
    followers: Mapping[str, Follower]


class _Training:
    def __init__(
        self,
        parties: Sequence[Party],
        source: Source,
        around: _Around,
        folder: Path,
    ) -> None:
        self.settings = parties[0].settings
        self.source, self.around, self.folder = source, around, folder
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
        seed_everything(self.settings.seed, "engine", self.accelerator.process_index)
        self.seats = [
            Seat(
                party,
                self.accelerator,
                self._autocast,
                max_grad_norm=self.settings.max_grad_norm,
                total_steps=self.total_steps,
            )
            for party in parties
        ]
        self.done, self.tokens, self.seconds, self.last_loss = 0, 0, 0.0, float("nan")
        self.watched: dict[str, float] = {}

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
                due = self.done % self.settings.logging_steps == 0 or self._finished or report.watched
                if metrics is not None and due:
                    metrics.append(report)
                if main and on_step is not None:
                    on_step(report)
                self._save_if_due(self._anyone(interruption.asked))
        # Not end_training: it would take down the ranks that later steps of a recipe need.
        for tracker in self.accelerator.trackers:
            tracker.finish()
        return TrainResult(self.done, self.tokens, self.seconds, self.last_loss)

    @property
    def _finished(self) -> bool:
        return self.done == self.total_steps

    # One step, in the order of the module's docstring.

    def _step(self) -> None:
        window = self._window()
        seats = [seat for seat in self.seats if seat.party.turn(self.done)]
        self._learn(seats, Step(window, self.done, self.total_steps))
        for seat in seats:
            seat.update()
        self.watched = self._watch()
        self._observe(seats)
        self.tokens += int(self._sum(torch.tensor(sum(batch.tokens for batch in window))))
        self.done += 1
        self.last_loss = self.seats[0].metrics["loss"]

    def _window(self) -> list[Batch]:
        entries = self.around.order.take(self.done * self.step_entries, self.step_entries)
        size = self.settings.per_device_train_batch_size
        rank, ranks = self.accelerator.process_index, self.accelerator.num_processes
        mine = micro_batches(entries, size, rank=rank, ranks=ranks)
        window = [self.source.batch(indices).to(self.accelerator.device) for indices in mine]
        if self.around.prepare is None:
            return window
        # What is written and scored here must come from the forward passes that training sees.
        with torch.no_grad(), self._autocast():
            return self.around.prepare(window, self.done, self.total_steps)

    def _watch(self) -> dict[str, float]:
        if self.around.watch is None:
            return {}
        with torch.no_grad(), self._autocast():
            return dict(self.around.watch(self.done + 1))

    def _ask(self, batch: Batch) -> Outputs | None:
        if self.around.answer is None:
            return None
        with torch.no_grad(), self._autocast():
            return self.around.answer(batch)

    def _learn(self, seats: Sequence[Seat], step: Step) -> None:
        """Gradients of all parties; the teacher is asked about one micro-batch at a time where it can be."""
        held = None
        if any(seat.answers_first for seat in seats):
            held = [self._ask(batch) for batch in step.window]
        for seat in seats:
            seat.begin(step, held)
        for batch in step.window:
            answer = self._ask(batch) if held is None else held.pop(0)
            for seat in seats:
                seat.learn(batch, answer)
            del answer  # before the next one is asked for
        for seat in seats:
            seat.finish()

    def _observe(self, seats: Sequence[Seat]) -> None:
        for seat in seats:
            for term in seat.party.criterion.terms:
                metrics = {**seat.metrics, **self.watched, "own": seat.metrics[term.name]}
                for schedule in term.schedules.values():
                    schedule.observe(self.done, self.total_steps, metrics)
        for follower in self.around.followers.values():
            follower.observe(self.done, self.total_steps, {**self.seats[0].metrics, **self.watched})

    # State: seats, checkpoints, trackers, sums over ranks.

    @cached_property
    def _shape(self) -> dict[str, int | str]:
        ranks = self.accelerator.num_processes
        shape = {"entries": len(self.source), "step_entries": self.step_entries, "ranks": ranks}
        return {**shape, "source": self.source.fingerprint()}

    def _resume(self) -> None:
        state = load_checkpoint(self.accelerator, self.folder / "checkpoint", lambda: self._shape)
        if state is None:
            return
        self.done, self.tokens, self.seconds = state["done"], state["tokens"], state["seconds"]
        self.last_loss = state["last_loss"]
        for seat, kept in zip(self.seats, state["seats"], strict=True):
            seat.scheduler.load_state_dict(kept["scheduler"])
            load_schedule_states(seat.party.criterion.terms, kept["schedules"])
        mine = state["followers"][self.accelerator.process_index]
        for name, follower in self.around.followers.items():
            follower.load_state_dict(mine[name])

    def _save_if_due(self, interrupted: bool) -> None:
        every = self.settings.save_steps
        due = every and self.done % every == 0 and not self._finished
        if not (interrupted or due):  # also after the last step: what follows it goes on from there
            return
        seats = [
            {
                "scheduler": seat.scheduler.state_dict(),
                "schedules": schedule_states(seat.party.criterion.terms),
            }
            for seat in self.seats
        ]
        state = {
            "done": self.done,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "last_loss": self.last_loss,
            # Of every rank: what each has written lies in a replay buffer of its own.
            "followers": gather_object(
                [{name: one.state_dict() for name, one in self.around.followers.items()}]
            ),
        }
        save_checkpoint(
            self.accelerator, self.folder / "checkpoint", {**state, "shape": self._shape, "seats": seats}
        )
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
        student = self.seats[0]
        tokens, seconds = (sum(column) for column in zip(*rates, strict=True))
        if self.settings.report_to:
            self.accelerator.log(
                {**student.metrics, **self.watched, "learning_rate": student.learning_rate}, self.done
            )
        return StepReport(
            step=self.done,
            total_steps=self.total_steps,
            loss=student.metrics["loss"],
            terms={name: value for name, value in student.metrics.items() if name != "loss"},
            learning_rate=student.learning_rate,
            grad_norm=student.grad_norm,
            tokens=self.tokens,
            seconds=self.seconds,
            tokens_per_second=tokens / seconds,
            watched=self.watched,
        )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.settings.bf16)

    def _sum(self, values: Tensor) -> Tensor:
        reduced: Tensor = self.accelerator.reduce(values.to(self.accelerator.device), reduction="sum")
        return reduced

    def _anyone(self, asked: bool) -> bool:
        if self.accelerator.num_processes == 1:
            return asked
        return bool(self._sum(torch.tensor(float(asked))) > 0)
