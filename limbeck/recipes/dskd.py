"""DSKD: student and teacher speak through each other's head, joined by attention between their tokens.

Zhang et al. 2024, arXiv:2406.17328; `code/criterions/dual_space_kd_with_cross_model_attention.py` and
`scripts/` in songmzhang/DSKD. Defaults from there: kd_ratio 0.5, temperature 2, projectors' rate 1e-3
(their model's: 5e-4). Departures:

- the means of this objective run over the tokens of each row, then over rows, so that micro-batches
  do not change them;
- learning rate and epochs are ours.
"""

from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term, Trainable


@compared()
def dskd(
    common: Comparison,
    *,
    kd_ratio: Share = 0.5,
    temperature: float = 2.0,
    divergence: str = "forward_kl",
    projector_learning_rate: float = 1e-3,
) -> Recipe:
    """Dual-space distillation with cross-model attention; the student may have any tokenizer.

    loss = (1 - kd_ratio) * cross_entropy + kd_ratio * dual_space.

    Args:
        divergence: in both output spaces: an objective such as forward_kl, reverse_kl or jsd.
        projector_learning_rate: learning rate of the projections between the two models.
    """
    terms = (
        Term(name="cross_entropy", weight=1 - kd_ratio),
        Term(
            name="dual_space",
            weight=kd_ratio,
            trainable=Trainable(module="projectors", learning_rate=projector_learning_rate),
            options={"temperature": temperature, "divergence": divergence},
        ),
    )
    return common.recipe("dskd", tuple(term for term in terms if term.weight), packing=False)
