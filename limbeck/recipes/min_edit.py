"""MinED: the teacher's scores are moved to the student's ids by spelling, where both cut the text alike.

The minimum-edit baseline of FuseLLM (Wan et al. 2024, arXiv:2401.10491; fanqiwan/FuseAI) with the
positions of tokenkit (bminixhofer/tokenkit, `scripts/cross_tokenizer_distill.py`): tokens that are the
same piece of text on both sides. Departures:

- where a piece is not the same, the student learns the data (FuseLLM's one-hot target is that);
- both means run over their own tokens, not over all: `kd_ratio` says what each counts.
"""

from limbeck.recipes.alignment import Alignment
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def min_edit(common: Comparison, *, kd_ratio: Share = 0.5, temperature: float = 1.0) -> Recipe:
    """Forward KL at tokens that are alike, with each id of the student taking the nearest token's score.

    loss = (1 - kd_ratio) * cross_entropy at all other tokens + kd_ratio * forward_kl.
    """
    terms = (
        Term(name="cross_entropy", weight=1 - kd_ratio, on="unaligned"),
        Term(name="forward_kl", weight=kd_ratio, on="aligned", options={"temperature": temperature}),
    )
    return common.recipe(
        "min_edit", tuple(term for term in terms if term.weight), alignment=Alignment(map="min_edit")
    )
