"""A student that judges: which of two answers is better, as a teacher says it.

PandaLM (Wang et al. 2023, arXiv:2306.05087; WeOpenML/PandaLM) and Prometheus (Kim et al. 2023,
arXiv:2310.08491). Rows are pairs of answers (`chosen` and `rejected`, in either order: which is better is for
the teacher to say). It compares them in both orders; verdicts that change with the order are left out, the
others are learnt in both, with the reasons before them. What comes of it is counted on held-out pairs by the
steps `judged_by_NAME`: `is_true` passes pairs that a judge sees alike in both orders, `exact_match` those of
them on which it agrees with the teacher. Departures:

- PandaLM writes the verdict first, then reasons; here reasons come first, as in Prometheus. The baseline
  learns the verdict alone, in as many steps from the same start: what reasons are worth is what differs;
- no reference answer and no rubric for each row, which Prometheus has; a rubric is what the prompt says, and
  a prompt of your own may read any column;
- verdicts of the teacher stand in for those of people. A judge learns its teacher's taste, too;
- steps and learning rate are ours.
"""

from typing import Annotated, Any

from pydantic import Field

from limbeck.recipes.comparison import compared
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Elicit

CONSISTENT = {"name": "is_true", "column": "consistent"}


@compared(max_length=2048, per_device_train_batch_size=8)
def judge(
    common: Elicited,
    *,
    prompt: str = "judge_pair",
    first: str = "chosen",
    second: str = "rejected",
    max_new_tokens: Annotated[int, Field(ge=1)] = 256,
    untrained: bool = True,
) -> Recipe:
    """Cross-entropy with a teacher's comparisons of two answers, in both orders.

    Args:
        prompt: a prompt file that teacher and students read; `limbeck prompts copy judge_pair`.
        first: column of an answer.
        second: column of the other one.
        max_new_tokens: of a comparison.
        untrained: let the student judge before it has learnt to, too.
    """
    asked = {"prompt": prompt, "first": first, "second": second, "max_new_tokens": max_new_tokens}
    making = [common.elicited({"name": "judging", **asked}, out="lessons")]
    if common.baseline:
        verdict = {"name": "judging", **asked, "learn": "verdict"}
        making.append(common.elicited(verdict, out="verdicts"))
    pairs = {"name": "judge_pair", **asked, "winner": "expected"}
    making.append(common.elicited(pairs, out="unseen", rows="rows.heldout", gates=[CONSISTENT]))
    making.append(common.elicited({"name": "judging", **asked}, out="unseen_lessons", rows="rows.heldout"))
    _, start = common_start(common.student, seed=common.seed)
    trained = {"student": "student"} | ({"baseline": "baseline"} if common.baseline else {})
    judges = trained | ({"untrained": start.origin} if untrained else {})
    whole = common.recipe(
        "judge",
        tuple(making),
        learnt="lessons",
        compared="verdicts",
        rows="unseen_lessons",
        metrics=("generation", "speed"),
        max_new_tokens=max_new_tokens,
    )
    counted = [_counted(common, name, model, asked) for name, model in judges.items()]
    return whole.model_copy(update={"steps": (*whole.steps, *counted)})


def _counted(common: Elicited, name: str, model: str, asked: dict[str, Any]) -> Elicit:
    """Held-out pairs that somebody judges: how many alike in both orders, how many as the teacher does."""
    return common.elicited(
        {"name": "judge_pair", **asked},
        out=f"judged_by_{name}",
        rows="unseen",
        teacher=as_teacher(model),
        gates=[CONSISTENT, {"name": "exact_match", "column": "winner", "gold": "expected"}],
        fewest=0,
        failures="skip",
    )
