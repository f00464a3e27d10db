"""Word-level distillation: at every token of the data, the student learns the teacher's distribution.

Hinton et al. 2015, arXiv:1503.02531; for sequences Kim & Rush 2016, arXiv:1606.07947. Defaults
follow the KD baseline of MiniLLM (microsoft/LMOps, `minillm/finetune.py`, `scripts/gpt2/kd`):
kd_ratio 0.5, weight decay 0.01, cosine, clip 1.0, batch 32, max length 512. Departures:

- the soft part is the KL, not the cross-entropy with the teacher (equal gradients, and 0 when equal);
- means run over the tokens of the whole optimizer step, not of each rank;
- learning rate and epochs are ours: the scripts use 5e-4 for GPT-2 base, 1e-5 for LLaMA, 20 epochs.
"""

from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def word_kd(
    common: Comparison,
    *,
    kd_ratio: Share = 0.5,
    temperature: float = 1.0,
) -> Recipe:
    """Forward KL from the teacher's token distributions, beside cross-entropy with the data.

    loss = (1 - kd_ratio) * cross_entropy + kd_ratio * forward_kl, each a mean over tokens.
    The baseline is trained on the same rows, in as many steps, with cross-entropy alone.
    """
    soft = Term(name="forward_kl", weight=kd_ratio, options={"temperature": temperature})
    hard = Term(name="cross_entropy", weight=1 - kd_ratio)
    return common.recipe("word_kd", tuple(term for term in (hard, soft) if term.weight))
