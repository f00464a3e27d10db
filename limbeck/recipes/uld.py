"""ULD: a student with another tokenizer learns the shape of the teacher's distribution, whatever its ids.

Boizard et al. 2024, arXiv:2402.12030; as a baseline in songmzhang/DSKD
(`code/criterions/universal_logit_distillation.py`), from where kd_ratio 0.5 is. Both sides' answers
are compared position by position, cut to the shorter one. Departures:

- the mean runs over the compared tokens of a whole optimizer step;
- learning rate and epochs are ours.
"""

from limbeck.recipes.alignment import Alignment
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def uld(common: Comparison, *, kd_ratio: Share = 0.5, temperature: float = 1.0) -> Recipe:
    """Distance of sorted probabilities beside cross-entropy: loss = (1 - kd_ratio) * ce + kd_ratio * uld."""
    terms = (
        Term(name="cross_entropy", weight=1 - kd_ratio),
        Term(name="uld", weight=kd_ratio, on="aligned", options={"temperature": temperature}),
    )
    return common.recipe(
        "uld", tuple(term for term in terms if term.weight), alignment=Alignment(pair="order")
    )
