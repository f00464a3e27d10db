"""Curriculum temperature: a temperature trained against the student, more strongly over time.

Li et al. 2023, arXiv:2211.16231, with one temperature for all positions; a baseline of TAID
(SakanaAI/TAID, `src/distil_losses/ctkd.py`). T = 1 + 20 * sigmoid(tau), loss T^2 * KL. Departures:

- the gradient of tau is scaled by 0 at first and -1 at the end, along half a cosine over the whole
  training, as the original does over ten epochs; `compat="released"` follows TAID's port, where it
  goes from 1 to 0, so that tau descends;
- optimizer settings are ours.
"""

from typing import Literal

from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term, Trainable


@compared()
def ctkd(
    common: Comparison,
    *,
    span: float = 20.0,
    temperature_learning_rate: float = 1e-3,
    compat: Literal["paper", "released"] = "paper",
) -> Recipe:
    """Forward KL at a temperature that a module learns, squared as a factor.

    Args:
        span: the temperature is learned between 1 and 1 + span.
        temperature_learning_rate: learning rate of the temperature.
    """
    first, last = (1.0, 0.0) if compat == "released" else (0.0, -1.0)
    trainable = Trainable(
        module="temperature",
        learning_rate=temperature_learning_rate,
        gradient_scale={"schedule": "cosine", "start": first, "stop": last},
        options={"span": span},
    )
    term = Term(name="forward_kl", trainable=trainable, options={"temperature_squared": True})
    return common.recipe("ctkd", (term,))
