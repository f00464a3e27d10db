"""Feedback rules: values that watch reduced metrics of finished steps. Each carries its own state."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from limbeck.schedules.curves import linear

_TINY = 1e-15  # of TAID's official code
_DIGITS = 12  # ten times 0.1 is 1


def adaptive_interpolation(
    *, start: float = 0.4, stop: float = 1.0, rate: float = 5e-4, momentum: float = 0.99, monitor: str = "own"
) -> "AdaptiveInterpolation":
    """TAID's t: from `start` to `stop`, ahead of a straight line while the loss falls quickly.

    After a step with loss J: delta = (J_before - J) / J_before, m <- momentum * m + (1 - momentum) *
    delta, t <- min(stop, max(line, t + rate * sigmoid(m) * (1 - t))). The first step only stores J.

    Args:
        start: first value of t; 0.2 to 0.4 in the paper.
        stop: last value.
        rate: alpha of the paper. In fewer than about 2 / rate steps the line decides alone.
        momentum: beta of the paper.
        monitor: metric that is J; "own" is the mean of the term itself.

    Source:
        Shing et al. 2025, arXiv:2501.16937; SakanaAI/TAID, `distil_losses/taid.py:TAID.update_t`.
        We differ: once an optimizer step, from the loss of the whole step over all ranks, while
        training only; the official code updates in every forward, of validation too.
    """
    return AdaptiveInterpolation(start, stop, rate, momentum, monitor)


def adaptive_share(
    *, tolerance: float = 0.1, growth: float = 0.1, stop: float = 1.0, monitor: str = "validation_loss"
) -> "AdaptiveShare":
    """DistiLLM's share of student samples: raised whenever the validation loss has risen.

    Starts at 0. The first validation sets a reference; when a later loss is at least reference +
    tolerance, the share grows and that loss becomes the reference.

    Args:
        tolerance: epsilon of the paper, in the unit of the loss.
        growth: added each time.
        stop: largest share.
        monitor: metric that is looked at in the steps where it was measured.

    Source:
        Ko et al. 2024, arXiv:2402.03898; jongwooko/distillm, `finetune.py` (adaptive_threshold).
    """
    return AdaptiveShare(tolerance, growth, stop, monitor)


@dataclass
class Rule:
    """What feedback rules have in common: a state that a checkpoint keeps."""

    def state_dict(self) -> dict[str, Any]:
        """All that the rule has learnt from metrics."""
        return dict(self._state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave."""
        self._state = dict(state)

    _state: dict[str, float] = field(default_factory=dict, init=False)


@dataclass
class AdaptiveInterpolation(Rule):
    """See `adaptive_interpolation`."""

    start: float
    stop: float
    rate: float
    momentum: float
    monitor: str

    def at(self, step: int, total_steps: int) -> float:
        """t in this step."""
        return self._state.get("t", self.start)

    def observe(self, step: int, total_steps: int, metrics: Mapping[str, float]) -> None:
        """Take in the loss of step `step`; `steps_ahead` counts where the adaptive part decided."""
        loss, before, t = metrics[self.monitor], self._state.get("loss"), self.at(step, total_steps)
        if before is not None:
            delta = (before - loss) / (before + _TINY)
            moved = self.momentum * self._state.get("momentum", 0.0) + (1 - self.momentum) * delta
            ahead = t + self.rate * _sigmoid(moved) * (1 - t)
            line = linear(step, total_steps + 1, start=self.start, stop=self.stop)
            won = self._state.get("steps_ahead", 0) + (ahead > line)
            self._state |= {"momentum": moved, "t": min(self.stop, max(line, ahead)), "steps_ahead": won}
        self._state["loss"] = loss


@dataclass
class AdaptiveShare(Rule):
    """See `adaptive_share`."""

    tolerance: float
    growth: float
    stop: float
    monitor: str

    def at(self, step: int, total_steps: int) -> float:
        """The share of student samples in this step."""
        return self._state.get("share", 0.0)

    def observe(self, step: int, total_steps: int, metrics: Mapping[str, float]) -> None:
        """Take in a validation loss, if this step has one."""
        if self.monitor not in metrics:
            return
        loss, reference = metrics[self.monitor], self._state.get("reference")
        if reference is None:
            self._state["reference"] = loss
        elif loss >= reference + self.tolerance:
            share = round(min(self.stop, self.at(step, total_steps) + self.growth), _DIGITS)
            self._state |= {"share": share, "reference": loss}


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value)) if value >= 0 else math.exp(value) / (1 + math.exp(value))
