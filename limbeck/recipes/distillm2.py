"""DistiLLM-2: pull the teacher's answers up and push the student's own down where the teacher doubts them.

Ko et al. 2025, arXiv:2503.07067; jongwooko/distillm-2, `src/distillm_trainer.py`. Skew forward KL on
the teacher's answer and skew reverse KL on the student's answer to the same prompt, each a mean
over its sequence; skew 0.1, answers sampled at temperature 0.8. Departures:

- the weight of the student's side grows from 1 to 1.5 over the first half (`gradual`), as the paper
  says; the released trainer has it switched off;
- the student inside the mixture of the reverse KL is not held constant; `compat="released"` does so;
- the student's answers are written in each step by the student as it is, not before each of three rounds;
- the skew is the same for all sequences: the released code's adaptive skew never takes effect.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.recipes.batches import Rollouts
from limbeck.recipes.comparison import Comparison, compared
from limbeck.recipes.inputs import Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.terms import Term


@compared()
def distillm2(
    common: Comparison,
    *,
    alpha: Share = 0.1,
    gradual: bool = True,
    compat: Literal["paper", "released"] = "paper",
    max_new_tokens: int = 128,
    sampling_temperature: float = 0.8,
    sft_steps: Annotated[int, Field(ge=0)] = 0,
) -> Recipe:
    """Skew forward KL on the teacher's answers beside skew reverse KL on the student's own.

    Args:
        alpha: how far the second distribution is mixed with the first: 0 is plain KL.
        gradual: move the two weights from 1 and 1 to 0.5 and 1.5 over the first half of the steps; false
            keeps them at 1.
    """

    def weight(stop: float) -> Any:
        return {"schedule": "plateau", "start": 1.0, "stop": stop} if gradual else 1.0

    def side(name: str, on: str, stop: float, **options: Any) -> Term:
        return Term(
            name=name, on=on, weight=weight(stop), mean="sequence", options={"alpha": alpha, **options}
        )

    return common.recipe(
        "distillm2",
        (
            side("skew_forward_kl", "data", 0.5),
            side("skew_reverse_kl", "student", 1.5, compat=compat),
        ),
        before=(common.written(max_new_tokens=max_new_tokens, sampling_temperature=sampling_temperature),),
        rows="written",
        rollouts=Rollouts(
            beside=True, max_new_tokens=max_new_tokens, sampling_temperature=sampling_temperature
        ),
        sft_steps=sft_steps,
    )
