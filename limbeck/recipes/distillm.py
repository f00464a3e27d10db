"""DistiLLM: skewed KL, and the student's own samples only as far as they are needed, used again.

Ko et al. 2024, arXiv:2402.03898; jongwooko/distillm, `finetune.py`, `distillm/{losses,sampler,buffer}.py`.
Defaults are theirs: skew 0.1, a buffer of 1,000 completions, a share of student samples that
starts at 0 and grows by 0.1 whenever the validation loss has risen by 0.1, fresh ones ever rarer.
Departures:

- labels of student samples are aligned; the official sampler writes them without the shift by one
  that its data has, which skips the first token of an answer and learns one after its end;
- values are divergences; the official skew forward KL leaves out the teacher's entropy;
- learning rate and epochs are ours (5e-4 for GPT-2, 20 epochs there).
"""

from typing import Annotated, Literal

from pydantic import Field

from limbeck.core.rollouts import Replay
from limbeck.recipes.batches import Rollouts
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term
from limbeck.recipes.validation import Validation


@compared()
def distillm(
    common: Comparison,
    *,
    skew: Literal["forward", "reverse"] = "forward",
    alpha: Share = 0.1,
    tolerance: float = 0.1,
    capacity: Annotated[int, Field(ge=1)] = 1000,
    validate_every: Annotated[int, Field(ge=1)] = 100,
    max_new_tokens: int = 128,
    sampling_temperature: float = 1.0,
    validation: float = 0.05,
    sft_steps: Annotated[int, Field(ge=0)] = 0,
) -> Recipe:
    """Skewed KL on the data and, as the validation loss asks for it, on the student's own samples.

    Args:
        skew: forward is skewed KL(teacher || student), reverse is skewed KL(student || teacher).
        alpha: how far the second distribution is mixed with the first: 0 is plain KL.
    """
    rollouts = Rollouts(
        student={"schedule": "adaptive_share", "tolerance": tolerance},
        draw="step",
        replay=Replay(capacity=capacity),
        max_new_tokens=max_new_tokens,
        sampling_temperature=sampling_temperature,
    )
    return common.recipe(
        "distillm",
        (Term(name=f"skew_{skew}_kl", options={"alpha": alpha}),),
        rollouts=rollouts,
        validation=Validation(rows="rows.validation", every=validate_every),
        validation_share=validation,
        sft_steps=sft_steps,
    )
