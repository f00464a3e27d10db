"""On-policy distillation as policy gradient: the teacher scores the tokens that the student samples.

Thinking Machines 2025; thinking-machines-lab/tinker-cookbook, `distillation/train_on_policy.py`.
Every sampled token has the advantage log p - log q, its own share of the reverse KL; no look-ahead
(discount 0), no clipping, one update for each batch. Departures:

- log-probabilities of the student come from the trainer's own forward, not from the sampler;
- `signal="full"` takes the reverse KL over the whole vocabulary instead of the sampled token: the
  same gradient in expectation without the noise of sampling, where the teacher's logits are at hand;
- learning rate and batch are ours: the cookbook trains LoRA of rank 128 at 1e-4 with groups of 4.
"""

from typing import Annotated, Literal

from pydantic import Field

from limbeck.core.rollouts import Advantages
from limbeck.recipes.batches import Rollouts
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def on_policy(
    common: Comparison,
    *,
    signal: Literal["sampled", "full"] = "sampled",
    discount: Share = 0.0,
    max_new_tokens: int = 128,
    sampling_temperature: float = 1.0,
    sft_steps: Annotated[int, Field(ge=0)] = 0,
) -> Recipe:
    """Reverse KL at the tokens of the student's own samples, as a policy gradient.

    Args:
        signal: sampled is a policy gradient at the sampled tokens; full is the exact reverse KL at every
            position.
        discount: how far the advantage of a token includes what follows it; 1 is the reverse KL of the
            whole sequence.
    """
    term = Term(name="reverse_kl", on="student")
    if signal == "sampled":
        term = Term(name="policy_gradient", on="student")
    rollouts = Rollouts(
        max_new_tokens=max_new_tokens,
        sampling_temperature=sampling_temperature,
        advantages=Advantages(discount=discount) if signal == "sampled" else None,
    )
    return common.recipe(
        "on_policy",
        (term,),
        rollouts=rollouts,
        sft_steps=sft_steps,
    )
