"""Adaptive KL: forward KL where the student is wrong about the likely tokens, reverse KL about the others.

Wu et al. 2024, arXiv:2404.02657; wutaiqiang/LLM_KD_AKL, `AKL.py`. In its experiments the loss takes the
place of the divergence in MiniLLM's KD recipe, so the baseline here is that recipe: forward KL, everything
else equal. Defaults: mu 0.5, kd_ratio 0.5, no temperature; cosine, weight decay 0.01, clip 1.0, batch 32, max
length 512. Departures:

- the head is the paper's, the smallest set of likeliest tokens with mass mu; the released code leaves out
  the token that crosses mu (`compat: released` in the term);
- means run over the tokens of the whole optimizer step, not of each rank;
- learning rate and epochs are ours: 5e-4 and 20 epochs for GPT-2, 1e-5 and 10 epochs for TinyLlama there.

In the paper forward and reverse KL have the same optimum and differ in what the student learns first, so
the gain is one of short trainings (`tests/objectives/test_what_is_learnt_first.py` shows it on 80 outcomes).
"""

from typing import Annotated

from pydantic import Field

from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def akl(
    common: Comparison,
    *,
    mu: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    kd_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5,
) -> Recipe:
    """Forward and reverse KL from the teacher, weighed at every token by where the gap is.

    loss = (1 - kd_ratio) * cross_entropy + kd_ratio * adaptive_kl, each a mean over tokens. The baseline has
    forward_kl in its place, and learns the same rows in as many steps.

    Args:
        mu: share of the teacher's probability that counts as head; the gap there weighs forward KL, the
            rest reverse KL.
    """

    def beside_the_data(soft: Term) -> tuple[Term, ...]:
        hard = Term(name="cross_entropy", weight=round(1 - kd_ratio, 12))
        return tuple(term for term in (hard, soft) if term.weight)

    return common.recipe(
        "akl",
        beside_the_data(Term(name="adaptive_kl", weight=kd_ratio, options={"mu": mu})),
        compared=beside_the_data(Term(name="forward_kl", weight=kd_ratio)),
        compared_out="forward",
    )
