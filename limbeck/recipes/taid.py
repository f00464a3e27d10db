"""TAID: slide the target from the student to the teacher while training.

Shing et al. 2025, arXiv:2501.16937; SakanaAI/TAID, `src/distil_losses/taid.py`. t starts at 0.4 and
ends at 1, ahead of a straight line while the loss falls quickly. Departures:

- t moves once an optimizer step, by the KL that the paper speaks of; the official code moves it in
  every forward, of validation too, by the cross-entropy with the target (`compat="released"`);
- optimizer settings are ours (1e-4, 5 epochs, batch 64 on UltraChat there).
"""

from typing import Literal

from limbeck.recipes.comparison import Comparison
from limbeck.recipes.inputs import Columns, Share, StudentLike
from limbeck.recipes.model import Recipe
from limbeck.recipes.parts import Term


def taid(
    *,
    teacher: str,
    student: StudentLike,
    data: str,
    start: Share = 0.4,
    stop: Share = 1.0,
    rate: float = 5e-4,
    momentum: Share = 0.99,
    compat: Literal["paper", "released"] = "paper",
    columns: Columns | None = None,
    heldout: float = 0.05,
    baseline: bool = True,
    learning_rate: float = 1e-4,
    num_train_epochs: float = 3.0,
    max_steps: int = -1,
    per_device_train_batch_size: int = 32,
    max_length: int = 512,
    seed: int = 0,
) -> Recipe:
    """Forward KL from a target that moves from the student's own distribution to the teacher's."""
    common = Comparison(
        teacher=teacher,
        student=student,
        data=data,
        columns=columns,
        heldout=heldout,
        baseline=baseline,
        settings={
            "learning_rate": learning_rate,
            "num_train_epochs": num_train_epochs,
            "max_steps": max_steps,
            "per_device_train_batch_size": per_device_train_batch_size,
            "max_length": max_length,
            "seed": seed,
        },
    )
    slide = {
        "schedule": "adaptive_interpolation",
        "start": start,
        "stop": stop,
        "rate": rate,
        "momentum": momentum,
    }
    return common.recipe("taid", (Term(name="taid", options={"t": slide, "compat": compat}),))
