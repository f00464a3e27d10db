"""Who answers which row, by how unsure the student is of it (dynamic distillation)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import torch
from accelerate.utils import gather_object
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs, of_each
from limbeck.core.seeds import generator
from limbeck.core.transform import Ask, Transform
from limbeck.objectives.uncertainty import least_confidence, margin, normalised_entropy
from limbeck.recipes.batches import UNCERTAIN, Selection
from limbeck.recipes.terms import UNCERTAINTIES
from limbeck.runs import ranks
from limbeck.runs.assembly.transforms.training import Training

RULES: Mapping[str, Callable[[Tensor], Tensor]] = {
    "entropy": normalised_entropy,
    "margin": margin,
    "least_confidence": least_confidence,
}


@dataclass
class Selector(Transform):
    """Marks the rows of a step by the student's uncertainty, then lets the right teacher answer each.

    Batches get the groups `uncertain` and `certain`, and the signals `uncertainty` (normalised
    entropy, in [0, 1]) and `certainty` (1 minus that), all constants.

    Attributes:
        settings: how rows are ranked; None only gives the signals.
        ask_student: its class scores, without dropout and gradients.
        other: answers the certain rows, where the teacher answers the uncertain ones; None: nobody does.
        seed: of `random`.
        asked: rows that teachers have read so far on this rank.
    """

    signals: ClassVar[frozenset[str]] = frozenset(UNCERTAINTIES)
    groups: ClassVar[tuple[str, ...]] = UNCERTAIN
    settings: Selection | None
    ask_student: Callable[[Batch], Outputs]
    other: Ask | None
    seed: int
    asked: int = field(default=0)

    def __call__(self, window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
        """The window with groups and signals; the share is taken of the whole step, over all ranks."""
        scores = [self._scores(batch) for batch in window]
        marked = []
        for batch, one in zip(window, scores, strict=True):
            unsure = normalised_entropy(one)
            signals = {**batch.signals, "uncertainty": unsure, "certainty": 1 - unsure}
            marked.append(replace(batch, signals=signals))
        if self.settings is None:
            return marked
        rule = RULES.get(self.settings.by)
        ranking = [[0.0] * len(one) if rule is None else rule(one).tolist() for one in scores]
        groups = [
            torch.tensor([int(not is_chosen) for is_chosen in rows], device=batch.device)
            for batch, rows in zip(window, self._chosen(self.settings, ranking, step), strict=True)
        ]
        return [
            replace(batch, groups=own, group_names=UNCERTAIN)
            for batch, own in zip(marked, groups, strict=True)
        ]

    def asking(self, ask: Ask) -> Ask:
        """Asks for marked batches: zeros where nobody is asked, nothing where no row is."""

        def answer(batch: Batch, needs: Needs) -> Outputs:
            if self.settings is None or batch.groups is None:
                self.asked += batch.rows
                return ask(batch, needs)
            parts = []
            for group, one in enumerate((ask, self.other)):
                rows = (batch.groups == group).nonzero().squeeze(-1)
                if one is not None and rows.numel():
                    self.asked += rows.numel()
                    parts.append((rows, one(_rows_of(batch, rows), needs)))
            return _put_together(parts, batch.rows) if parts else Outputs()

        return answer

    def state_dict(self) -> dict[str, Any]:
        """How often teachers were asked."""
        return {"asked": self.asked}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self.asked = int(state["asked"])

    def finish(self, student: Any) -> tuple[str, ...]:
        """How often teachers were asked, on all ranks."""
        return (f"Teachers read {sum(gather_object([self.asked])):,} rows.",)

    def _scores(self, batch: Batch) -> Tensor:
        scores = self.ask_student(batch).logits
        assert scores is not None
        return scores

    def _chosen(self, settings: Selection, ranking: Sequence[Sequence[float]], step: int) -> list[list[bool]]:
        """For this rank's micro-batches, which rows are among the most unsure of the step."""
        everywhere: list[list[list[float]]] = gather_object([ranking])
        rows = [
            (place, rank, row)
            for place in range(len(ranking))
            for rank, windows in enumerate(everywhere)
            for row in range(len(windows[place]))
        ]
        order: list[int] = generator(self.seed, "selection", step).permutation(len(rows)).tolist()
        if settings.by != "random":
            values = [everywhere[rank][place][row] for place, rank, row in rows]
            order = sorted(range(len(rows)), key=lambda number: -values[number])
        chosen = {rows[number] for number in order[: int(len(rows) * settings.share)]}
        mine = ranks.place()
        return [
            [(place, mine, row) in chosen for row in range(len(one))] for place, one in enumerate(ranking)
        ]


def make(training: Training) -> Selector | None:
    """Who is asked by the student's uncertainty, or None where neither settings nor terms ask for it."""
    step, settings = training.step, training.step.selection
    weighted = any(term.weighted_by in UNCERTAINTIES for term in step.objective)
    if settings is None and not weighted:
        return None
    other = None if settings is None or settings.other is None else training.model(settings.other.word)
    return Selector(settings, training.ask_student, None if other is None else other.answer, step.seed)


def _rows_of(batch: Batch, rows: Tensor) -> Batch:
    assert batch.targets is not None
    return Batch(
        inputs={name: values[rows] for name, values in batch.inputs.items()},
        targets=batch.targets[rows],
        row_ids=[batch.row_ids[row] for row in rows.tolist()],
    )


def _put_together(parts: Sequence[tuple[Tensor, Outputs]], count: int) -> Outputs:
    """Answers about some rows each as one about all of them."""

    def spread(each: Sequence[Tensor]) -> Tensor:
        whole = each[0].new_zeros(count, *each[0].shape[1:])
        for (rows, _), values in zip(parts, each, strict=True):
            whole[rows] = values
        return whole

    answers = [answer for _, answer in parts]
    logits = [answer.logits for answer in answers if answer.logits is not None]
    return Outputs(
        logits=spread(logits) if logits else None,
        taps={key: of_each(spread, [answer.taps[key] for answer in answers]) for key in answers[0].taps},
    )
