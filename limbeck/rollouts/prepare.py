"""Puts rollouts into a step: decides who writes what, lets them write, and makes the batches."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from limbeck.core.batch import Batch, Source
from limbeck.core.rollouts import SOURCES, RolloutSettings
from limbeck.core.seeds import derived_seed
from limbeck.core.signals import BATCH_SIGNALS
from limbeck.core.term import Schedule, value_at
from limbeck.core.transform import Transform
from limbeck.rollouts.journal import Journal
from limbeck.rollouts.replay import ReplayBuffer
from limbeck.rollouts.returns import whitened
from limbeck.rollouts.rollout import Rollout, collate_rollouts, uncollate, with_numbers
from limbeck.rollouts.rounds import Rounds
from limbeck.rollouts.score import scores
from limbeck.rollouts.writers import Writers
from limbeck.rollouts.writing import parts, write

Share = float | Schedule


class Rollouts(Transform):
    """Puts rollouts into a step; schedules of shares and the replay buffer have a state.

    Which rows are written anew depends on seed, step and row alone: micro-batching and ranks do not
    change it. What is written for them depends on the other rows of the rank, not on micro-batching.

    Args:
        settings: who writes how much.
        shares: the values of `student`, `teacher` and `fresh`, as numbers or schedules.
        writers: student and teacher.
        folder: of this rank, for the journal.
        seed: of all draws.
        needs_scores: whether a term reads advantages, log-probabilities or importance weights.
        prompts: where rounds take their prompts from, in an order of their own; None without rounds.
        packed: sequences are laid end to end for learning; student and teacher must keep them apart
            (`rows.packable.reads_packs`), and objectives must be pointwise.
        rank: (number, count) of this process.
    """

    signals: ClassVar[frozenset[str]] = frozenset({*BATCH_SIGNALS, "importance"})
    groups: ClassVar[tuple[str, ...]] = SOURCES

    def __init__(
        self,
        settings: RolloutSettings,
        *,
        shares: Mapping[str, Share],
        writers: Writers,
        folder: Path,
        seed: int,
        needs_scores: bool,
        prompts: Source | None = None,
        packed: bool = False,
        rank: tuple[int, int] = (0, 1),
    ) -> None:
        self._settings, self._shares, self._writers = settings, dict(shares), writers
        self._seed, self._needs_scores = seed, needs_scores
        self._own_seed = derived_seed(seed, "rank", rank[0])  # ranks must not write with equal draws
        self._packed = packed
        self._journal = Journal(folder / f"rank-{rank[0]}")
        self._replay = (
            None if settings.replay is None else ReplayBuffer(settings.replay.capacity, self._own_seed)
        )
        self._rounds = None
        if settings.round is not None and prompts is not None:
            self._rounds = Rounds(settings.round, prompts, seed, rank)
        self._next = 0  # the step after the last one that was made
        self._needed = 0  # the earliest step that the last checkpoint can ask the journal for

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        """The step's micro-batches: written rows in the place of the data's, or beside them."""
        shares = {name: value_at(value, step, total_steps) for name, value in self._shares.items()}
        lines = [uncollate(batch) for batch in window]
        flat = [one for batch in lines for one in batch]
        made = self._round(step, len(flat)) if self._rounds else self._step(flat, shares, step)
        self._next = step + 1
        device = window[0].device
        pad, packed = self._writers.ids.pad, self._packed
        batches = [collate_rollouts(part, pad, device, packed=packed) for part in _split(made, lines) if part]
        if self._needs_scores and not self._rounds:
            batches = self._scored(batches)
        if self._settings.beside:
            batches += [collate_rollouts(one, pad, device, packed=packed) for one in lines]
        return batches

    # One step's rows.

    def _step(self, rows: Sequence[Rollout], shares: Mapping[str, float], step: int) -> list[Rollout]:
        sources = [self._source(row, shares, step) for row in rows]
        if self._replay is not None and sources[0] == "student":
            return self._replayed(rows, shares["fresh"], step)
        found, first_part = list(rows), 0
        for source in ("student", "teacher"):
            mine = [place for place, chosen in enumerate(sources) if chosen == source]
            if mine:
                chosen = [rows[place] for place in mine]
                for place, one in zip(mine, self._write(chosen, source, step, first_part), strict=True):
                    found[place] = one
                first_part += parts(len(mine))
        return found

    def _source(self, row: Rollout, shares: Mapping[str, float], step: int) -> str:
        what = row.row_id if self._settings.draw == "row" else "step"
        drawn = derived_seed(self._seed, "source", step, what) / 2**63
        if drawn < shares["student"]:
            return "student"
        return "teacher" if drawn < shares["student"] + shares["teacher"] else "data"

    def _replayed(self, rows: Sequence[Rollout], fresh: float, step: int) -> list[Rollout]:
        assert self._replay is not None
        drawn = derived_seed(self._seed, "fresh", step) / 2**63
        if drawn < fresh or not self._replay.is_full:
            written = self._write(rows, "student", step, 0)
            self._replay.add(written)
            return written
        return self._replay.take(len(rows), step=step)

    def _write(self, rows: Sequence[Rollout], source: str, step: int, first_part: int) -> list[Rollout]:
        return write(
            self._writers,
            rows,
            source,
            self._settings,
            step=step,
            seed=self._own_seed,
            journal=self._journal,
            first_part=first_part,
        )

    # Rounds: written for at once, judged at once, learnt from several times.

    def _round(self, step: int, count: int) -> list[Rollout]:
        assert self._rounds is not None
        start = self._rounds.start(step, count)
        if self._rounds.held_from != start:
            rows = self._rounds.prompts(step, count)
            self._rounds.hold(start, self._judged(self._write(rows, "student", start, 0), start))
        return self._rounds.rows(step, count)

    def _judged(self, written: list[Rollout], start: int) -> list[Rollout]:
        if not self._needs_scores:
            return written
        place = _SCORED_PART
        kept = self._journal.read(start, place, written)
        if kept is None:
            kept = self._score(written)
            self._journal.keep(start, place, kept)
        return kept

    def _score(self, written: list[Rollout]) -> list[Rollout]:
        device = self._writers.device
        by_length = sorted(range(len(written)), key=lambda place: len(written[place].ids))
        batches = [by_length[start : start + _SCORED] for start in range(0, len(by_length), _SCORED)]
        pad = self._writers.ids.pad
        scored = self._scored([collate_rollouts([written[k] for k in part], pad, device) for part in batches])
        found = list(written)
        for part, batch in zip(batches, scored, strict=True):
            chosen = [written[k] for k in part]
            for place, one in zip(part, with_numbers(chosen, batch.signals), strict=True):
                found[place] = one
        return found

    def _scored(self, batches: Sequence[Batch]) -> list[Batch]:
        ask = self._writers.ask_teacher
        assert ask is not None
        numbers = [
            scores(batch, self._settings, student=self._writers.ask_student, teacher=ask) for batch in batches
        ]
        if self._settings.advantages is not None and self._settings.advantages.whiten:
            chosen = [_by_student(batch) for batch in batches]
            flat = _cat([one["advantages"] for one in numbers])
            white = whitened(flat, _cat(chosen))
            sizes = [mask.numel() for mask in chosen]
            for one, part in zip(numbers, white.split(sizes), strict=True):
                one["advantages"] = part.view_as(one["advantages"])
        return [replace(batch, signals=one) for batch, one in zip(batches, numbers, strict=True)]

    # What the training tells, and what a checkpoint keeps.

    def observe(self, step: int, total_steps: int, metrics: Mapping[str, float]) -> None:
        """Let the schedules of the shares see the metrics."""
        for share in self._schedules.values():
            share.observe(step, total_steps, metrics)

    def state_dict(self) -> dict[str, Any]:
        """Shares and replay buffer; drops from the journal what the checkpoint before did not need."""
        self._journal.forget_before(self._needed)
        self._needed = self._next if self._rounds is None else self._rounds.held_from or 0
        states: dict[str, Any] = {name: share.state_dict() for name, share in self._schedules.items()}
        return {"shares": states, "replay": None if self._replay is None else self._replay.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        for name, share in self._schedules.items():
            share.load_state_dict(state["shares"][name])
        if self._replay is not None:
            self._replay.load_state_dict(state["replay"])

    def finish(self, student: Any) -> tuple[str, ...]:
        """What ended its answers in training ends them for whoever loads the student."""
        student.generation_config.eos_token_id = list(self._writers.ids.eos)
        return ()

    @property
    def _schedules(self) -> dict[str, Schedule]:
        return {name: share for name, share in self._shares.items() if not isinstance(share, float | int)}


_SCORED = 16  # rows of one scoring batch
_SCORED_PART = 9999  # place of a judged round in the journal


def _split(made: Sequence[Rollout], like: Sequence[Sequence[Rollout]]) -> list[list[Rollout]]:
    found, start = [], 0
    for batch in like:
        found.append(list(made[start : start + len(batch)]))
        start += len(batch)
    return found


def _by_student(batch: Batch) -> Tensor:
    assert batch.groups is not None
    return batch.groups == SOURCES.index("student")


def _cat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.flatten() for tensor in tensors])
