"""Who answers which row, by how unsure the student is of it (dynamic distillation)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.outputs import Needs, Outputs
from limbeck.core.seeds import generator
from limbeck.objectives.uncertainty import least_confidence, margin, normalised_entropy
from limbeck.recipes.check_training import UNCERTAIN
from limbeck.recipes.model import Selection

RULES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "entropy": normalised_entropy,
    "margin": margin,
    "least_confidence": least_confidence,
}
Answer = Callable[[Batch], Outputs]


@dataclass
class Selector:
    """Marks the rows of a step by the student's uncertainty, then lets the right teacher answer each.

    Batches get the groups `uncertain` and `certain`, and the signals `uncertainty` (normalised
    entropy, in [0, 1]) and `certainty` (1 minus that), all constants.

    Attributes:
        settings: how rows are ranked; None only gives the signals.
        ask_student: its class scores, without dropout and gradients.
        teacher: answers the uncertain rows; all of them without `settings`.
        other: answers the certain rows; None: nobody does.
        seed: of `random`.
        asked: rows that teachers have read so far.
    """

    settings: Selection | None
    ask_student: Answer
    teacher: Callable[[Batch, Needs], Outputs] | None
    other: Callable[[Batch, Needs], Outputs] | None
    seed: int
    asked: int = field(default=0)

    def mark(self, window: Sequence[Batch], step: int) -> list[Batch]:
        """The window with groups and signals; the share is taken of each micro-batch."""
        return [self._marked(batch, step, place) for place, batch in enumerate(window)]

    def _marked(self, batch: Batch, step: int, place: int) -> Batch:
        scores = self.ask_student(batch).logits
        assert scores is not None
        unsure = normalised_entropy(scores)
        signals = {**batch.signals, "uncertainty": unsure, "certainty": 1 - unsure}
        if self.settings is None:
            return replace(batch, signals=signals)
        groups = torch.full_like(unsure, 1, dtype=torch.long)
        if self.settings.by == "random":
            order = torch.from_numpy(generator(self.seed, "selection", step, place).permutation(batch.rows))
        else:
            order = RULES[self.settings.by](scores).argsort(descending=True, stable=True)
        groups[order[: int(batch.rows * self.settings.share)].to(groups.device)] = 0
        return replace(batch, signals=signals, groups=groups, group_names=UNCERTAIN)

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """What the teachers say of a marked batch; zeros where nobody is asked."""
        assert self.teacher is not None
        if self.settings is None or batch.groups is None:
            self.asked += batch.rows
            return self.teacher(batch, needs)
        parts = []
        for group, ask in enumerate((self.teacher, self.other)):
            rows = (batch.groups == group).nonzero().squeeze(-1)
            if ask is not None and rows.numel():
                self.asked += rows.numel()
                parts.append((rows, ask(_rows_of(batch, rows), needs)))
        return _put_together(parts, batch.rows)


def _rows_of(batch: Batch, rows: Tensor) -> Batch:
    assert batch.targets is not None
    return Batch(
        inputs={name: values[rows] for name, values in batch.inputs.items()},
        targets=batch.targets[rows],
        row_ids=[batch.row_ids[row] for row in rows.tolist()],
    )


def _put_together(parts: Sequence[tuple[Tensor, Outputs]], count: int) -> Outputs:
    def spread(read: Callable[[Outputs], Tensor]) -> Tensor:
        first = read(parts[0][1])
        whole = first.new_zeros(count, *first.shape[1:])
        for rows, outputs in parts:
            whole[rows] = read(outputs)
        return whole

    def logits(outputs: Outputs) -> Tensor:
        assert outputs.logits is not None
        return outputs.logits

    def state(layer: int) -> Callable[[Outputs], Tensor]:
        return lambda outputs: outputs.states[layer]

    return Outputs(
        logits=None if parts[0][1].logits is None else spread(logits),
        states={layer: spread(state(layer)) for layer in parts[0][1].states},
    )
