"""What a step and a whole training leave behind."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from limbeck.core.files import read_json_lines, write_text


@dataclass(frozen=True)
class StepReport:
    """One optimizer step, reduced over all ranks.

    Attributes:
        step: counted from 1 (a finished step).
        total_steps: of the whole training.
        loss: weighted sum of the terms' means.
        terms: mean of each term, in its own unit (nats for divergences), without its weight; and
            `weight_<term>` where the step balanced them.
        learning_rate: of the update that was made.
        grad_norm: before clipping.
        tokens: read so far by the student, on all ranks.
        seconds: spent so far, earlier sessions of a resumed training included.
        tokens_per_second: over the last steps.
        validation: what was measured after this step (a validation loss, distances); empty in most.
        parties: of those that learn beside the student, by `name/what`: loss, terms, grad_norm and
            learning_rate, in the steps that are their turn.
    """

    step: int
    total_steps: int
    loss: float
    terms: Mapping[str, float]
    learning_rate: float
    grad_norm: float
    tokens: int
    seconds: float
    tokens_per_second: float
    validation: Mapping[str, float] = field(default_factory=dict)
    parties: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainResult:
    """A finished training."""

    steps: int
    tokens: int
    seconds: float
    final_loss: float


class MetricsFile:
    """`metrics.jsonl`: one line a logged step; lines after the resumed step are taken back."""

    def __init__(self, path: Path, *, resumed_at: int) -> None:
        self._path = path
        # A kill may leave half a line; everything after the checkpoint will be written again.
        kept = [line for line in read_json_lines(path) if _step_of(line) <= resumed_at]
        write_text(path, "".join(json.dumps(line) + "\n" for line in kept))

    def append(self, report: StepReport) -> None:
        """Write one step."""
        with self._path.open("a", encoding="utf-8") as file:
            line = {name: value for name, value in vars(report).items() if value != {}}
            file.write(json.dumps(line) + "\n")


def _step_of(line: Mapping[str, Any]) -> float:
    step = line.get("step")
    return step if isinstance(step, int) else math.inf
