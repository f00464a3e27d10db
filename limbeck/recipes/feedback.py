"""Feedback: answers are judged by a teacher, and the student learns to prefer what it prefers.

Zephyr (Tunstall et al. 2023, arXiv:2310.16944; alignment-handbook, `recipes/zephyr-7b-beta`), UltraFeedback
(Cui et al. 2023, arXiv:2310.01377) and Constitutional AI (Bai et al. 2022, arXiv:2212.08073), whose
constitution is what the judge's prompt says. The student is fine-tuned first; then several answers to every
question are scored, the best is chosen, another one rejected, and the pairs are learnt by DPO against the
fine-tuned student. Defaults from Zephyr: four answers, a random other one rejected, beta 0.01 as in its
recipe, learning rate 5e-7, one epoch. Departures:

- the answers are the student's own, as in learning from AI feedback, where Zephyr takes those of four other
  models: give your own models' answers to a `pair` step for that;
- the judge scores every answer alone from 1 to 10, without seeing the others: tournaments in both orders are
  the operator `judge_pair`;
- the baseline learns the chosen answers by cross-entropy, from the same start, in as many steps;
- both are measured on the held-out rows' own answers.

The teacher only judges: how far to trust it, the recipe `judge` and `limbeck view` say.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.recipes.comparison import compared
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import ROWS, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Pair
from limbeck.recipes.terms import Term


@compared(max_steps=500, per_device_train_batch_size=16)
def feedback(
    common: Elicited,
    *,
    answers: Annotated[int, Field(ge=2)] = 4,
    judge_prompt: str = "judge_score",
    rejects: Literal["random", "worst"] = "random",
    beta: Annotated[float, Field(gt=0)] = 0.01,
    pairs_learning_rate: float = 5e-7,
    sft_steps: Annotated[int, Field(ge=0)] = 500,
    max_new_tokens: Annotated[int, Field(ge=1)] = 256,
    sampling_temperature: Annotated[float, Field(gt=0)] = 1.0,
) -> Recipe:
    """DPO on pairs of the student's answers that the teacher judged.

    Args:
        answers: of the student to every question.
        judge_prompt: a prompt file with the rubric or constitution; `limbeck prompts copy judge_score`.
        rejects: which of the lower scores is rejected.
        beta: how far the student may leave where it starts from.
        pairs_learning_rate: of the training on pairs and of its baseline; `learning_rate` is that of the
            fine-tuning before.
        sft_steps: optimizer steps of it, on the answers of the data; 0: none.
        max_new_tokens: of the student's answers.
        sampling_temperature: of them.
    """
    made, start = common_start(common.student, seed=common.seed)
    tuned = start.at("sft") if sft_steps else start
    writer = as_teacher(tuned.origin)
    write = {
        "name": "answer",
        "max_new_tokens": max_new_tokens,
        "sampling_temperature": sampling_temperature,
    }
    chosen = Term(name="cross_entropy", on="chosen", mean="sequence")
    preferred = Term(name="dpo", options={"beta": beta})
    pairs: dict[str, Any] = {"task": "preference", "learning_rate": pairs_learning_rate, "packing": False}
    return Recipe(
        name="feedback",
        steps=(
            common.loaded(),
            *made,
            *((common.trained("sft", start, ROWS, max_steps=sft_steps),) if sft_steps else ()),
            common.elicited(write, out="answers", teacher=writer, samples=answers),
            common.elicited({"name": "judge", "prompt": judge_prompt}, out="judged", rows="answers"),
            Pair(out="pairs", rows="judged", score="judge_score", rejects=rejects, seed=common.seed),
            *((common.trained("baseline", tuned, "pairs", (chosen,), **pairs),) if common.baseline else ()),
            common.trained("student", tuned, "pairs", (preferred,), teacher=writer, **pairs),
            common.evaluated(),
        ),
    )
