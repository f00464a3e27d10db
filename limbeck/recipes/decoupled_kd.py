"""Decoupled distillation: how likely the label is, and what the other tokens look like, weighed apart.

Zhao et al. 2022, arXiv:2203.08679; for language models the port in SakanaAI/TAID,
`src/distil_losses/dkd.py`, from which the defaults are: alpha 1, beta 0.5, temperature 1, no
cross-entropy beside it (`distil_ratio` 1). Forward KL is the same sum with beta = 1 - p_label at every
token, so beta decides how much the student learns from tokens where the teacher is confident. Departures:

- means run over the tokens in the loss; the port divides by all positions;
- learning rate, epochs and batch are ours: 1e-4 without warm-up, 5 epochs and batch 64 there;
- for classes, where the paper is at home, beta is tuned per pair of models (2 to 8) and T is 4.
"""

from typing import Annotated

from pydantic import Field

from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def decoupled_kd(
    common: Comparison,
    *,
    alpha: Annotated[float, Field(ge=0)] = 1.0,
    beta: Annotated[float, Field(ge=0)] = 0.5,
    hard: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    temperature: float = 1.0,
) -> Recipe:
    """The label against the rest, and the rest among itself, each from the teacher with its weight.

    loss = hard * cross_entropy + (1 - hard) * (alpha * TCKD + beta * NCKD), each a mean over tokens. The
    baseline has forward_kl in the place of the bracket, and learns the same rows in as many steps.

    Args:
        alpha: weight of the target-class part (TCKD).
        beta: weight of the part among the other tokens (NCKD).
        hard: weight of cross-entropy with the data; the distillation loss has the rest.
    """
    soft = round(1 - hard, 12)
    warm = {"temperature": temperature, "temperature_squared": True} if temperature != 1 else {}

    def beside_the_data(term: Term) -> tuple[Term, ...]:
        return tuple(one for one in (Term(name="cross_entropy", weight=hard), term) if one.weight)

    decoupled = Term(name="decoupled_kd", weight=soft, options={"alpha": alpha, "beta": beta, **warm})
    return common.recipe(
        "decoupled_kd",
        beside_the_data(decoupled),
        compared=beside_the_data(Term(name="forward_kl", weight=soft, options=warm)),
        compared_out="forward",
    )
