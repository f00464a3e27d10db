"""TAID: slide the target from the student to the teacher while training.

Shing et al. 2025, arXiv:2501.16937; SakanaAI/TAID, `src/distil_losses/taid.py`. t starts at 0.4 and
ends at 1, ahead of a straight line while the loss falls quickly. Departures:

- t moves once an optimizer step, by the KL that the paper speaks of; the official code moves it in
  every forward, of validation too, by the cross-entropy with the target (`compat="released"`);
- optimizer settings are ours (1e-4, 5 epochs, batch 64 on UltraChat there).
"""

from typing import Literal

from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def taid(
    common: Comparison,
    *,
    start: Share = 0.4,
    stop: Share = 1.0,
    rate: float = 5e-4,
    momentum: Share = 0.99,
    compat: Literal["paper", "released"] = "paper",
) -> Recipe:
    """Forward KL from a target that moves from the student's own distribution to the teacher's.

    Args:
        start: t at the first step: the teacher's share in the target.
        stop: t at the last step.
        rate: how fast t moves ahead while the loss falls.
        momentum: of the running mean of the relative fall of the loss.
    """
    slide = {
        "schedule": "adaptive_interpolation",
        "start": start,
        "stop": stop,
        "rate": rate,
        "momentum": momentum,
    }
    return common.recipe("taid", (Term(name="taid", options={"t": slide, "compat": compat}),))
