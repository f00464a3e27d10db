"""Curriculum temperature: a temperature that is learnt against the student, more and more.

Li et al. 2023, arXiv:2211.16231, with one temperature for all positions; a baseline of TAID
(SakanaAI/TAID, `src/distil_losses/ctkd.py`). T = 1 + 20 * sigmoid(tau), loss T^2 * KL. Departures:

- the gradient of tau is scaled by 0 at first and -1 at the end, along half a cosine over the whole
  training, as the original does over ten epochs; `compat="released"` follows TAID's port, where it
  goes from 1 to 0, so that tau descends;
- optimizer settings are ours.
"""

from typing import Literal

from limbeck.recipes.comparison import Comparison
from limbeck.recipes.inputs import Columns, StudentLike
from limbeck.recipes.model import Recipe
from limbeck.recipes.parts import Learnt, Term


def ctkd(
    *,
    teacher: str,
    student: StudentLike,
    data: str,
    span: float = 20.0,
    temperature_learning_rate: float = 1e-3,
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
    """Forward KL at a temperature that a module learns, squared as a factor."""
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
    first, last = (1.0, 0.0) if compat == "released" else (0.0, -1.0)
    learnt = Learnt(
        module="temperature",
        learning_rate=temperature_learning_rate,
        gradient_scale={"schedule": "cosine", "start": first, "stop": last},
        options={"span": span},
    )
    term = Term(name="forward_kl", learnt=learnt, options={"temperature_squared": True})
    return common.recipe("ctkd", (term,))
