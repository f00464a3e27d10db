"""MiniLLM: the reverse KL of whole sequences, by policy gradient with an exact part.

Gu et al. 2024, arXiv:2306.08543; microsoft/LMOps, `minillm/minillm/{losses,sampler,reward}.py`. A round
of prompts is completed by a mixture of student and teacher (teacher's share 0.2), then trained on
four times: the exact reverse KL of each next token, weighted by importance; a clipped policy gradient
for what follows it, divided by its length and whitened; and cross-entropy with text. Departures:

- the policy gradient has the reward from the next token on, so that the exact part is not counted
  twice, without discount; `compat="released"` takes the official code's sum from the token itself on,
  discount 0.95, rewards doubled and clipped at 100, and no importance weights in the exact part;
- whitening leaves padding out;
- without `corpus`, the text of the cross-entropy are the data's own answers; learning rate is ours
  (5e-6 for GPT-2 there, from a fine-tuned student: `sft_steps` trains one first).
"""

from typing import Annotated, Literal

from pydantic import Field

from limbeck.core.rollouts import Advantages, Round
from limbeck.recipes.batches import Rollouts
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Load
from limbeck.recipes.terms import Term


@compared(learning_rate=2e-5)
def minillm(
    common: Comparison,
    *,
    corpus: str | None = None,
    teacher_share: Share = 0.2,
    clip: float = 0.2,
    round_prompts: Annotated[int, Field(ge=1)] = 256,
    round_epochs: Annotated[int, Field(ge=1)] = 4,
    compat: Literal["paper", "released"] = "paper",
    max_new_tokens: int = 128,
    sft_steps: Annotated[int, Field(ge=0)] = 0,
) -> Recipe:
    """Sequence-level reverse KL: exact at each token, by policy gradient for what follows it.

    Args:
        corpus: plain text that every step also trains on with cross-entropy: a file, a folder or a hub
            id; null takes the rows themselves.
        teacher_share: the teacher's share in the distribution that each token is sampled from.
        clip: PPO's clip range of the policy ratio; 0 is none.
        round_prompts: prompts that are completed at once.
        round_epochs: passes over these completions before the next round.
    """
    released = compat == "released"
    advantages = Advantages(
        return_from="t" if released else "t+1",
        discount=0.95 if released else 1.0,
        length_normalised=True,
        whiten=True,
        reward_scale=0.5 if released else 1.0,
        reward_limit=100.0 if released else 0.0,
    )
    rollouts = Rollouts(
        guide_share=teacher_share,
        beside=corpus is None,
        round=Round(prompts=round_prompts, epochs=round_epochs),
        max_new_tokens=max_new_tokens,
        advantages=advantages,
    )
    objective = (
        Term(name="policy_gradient", on="student", options={"clip": clip}),
        Term(name="reverse_kl", on="student", weighted_by=None if released else "importance"),
        Term(name="cross_entropy", on="data" if corpus is None else "corpus"),
    )
    text = () if corpus is None else (Load(out="text", path=corpus, heldout=0.0),)
    return common.recipe(
        "minillm",
        objective,
        before=text,
        rollouts=rollouts,
        corpus=None if corpus is None else "text.train",
        sft_steps=sft_steps,
    )
