"""Self-Instruct: a teacher thinks of tasks unlike a few that people wrote, and solves them.

Wang et al. 2022, arXiv:2212.10560; yizhongw/self-instruct, `self_instruct/bootstrap_instructions.py` and its
siblings. Defaults from there: eight tasks are shown, two of them made before; a new task may have a ROUGE-L
of 0.7 to any other; tasks are sampled at temperature 0.7 and top-p 0.5; classifications get their label
first, other tasks their input. With `evolve_rounds` every task is then made harder, round by round, as in
Evol-Instruct (Xu et al. 2023, arXiv:2304.12244), and tasks of all rounds are learnt. Departures:

- the prompts' words are ours, and talk to a chat model where the paper continued text;
- the paper made 52,000 tasks; `target` is a thousand here, and says what you pay for;
- the baseline learns the people's tasks alone, in as many steps; steps and learning rate are ours.
"""

from typing import Annotated

from pydantic import Field

from limbeck.recipes.comparison import compared
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import ROWS
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Mix, Step


@compared(heldout=0.1)
def self_instruct(
    common: Elicited,
    *,
    target: Annotated[int, Field(ge=1)] = 1000,
    novelty: Annotated[float, Field(ge=0, le=1)] = 0.7,
    most_requests: Annotated[int, Field(ge=1)] | None = None,
    evolve_rounds: Annotated[int, Field(ge=0)] = 0,
) -> Recipe:
    """Cross-entropy with tasks that the teacher thought of, and its solutions.

    `data` are the first tasks, some dozens, as prompts with answers.

    Args:
        target: tasks to make.
        novelty: highest ROUGE-L that a new task may have to any earlier one.
        most_requests: for new tasks at most; none: 4 for each of `target`.
        evolve_rounds: harder versions of every task; 0: none.
    """
    options = {"target": target, "novelty": novelty}
    if most_requests is not None:
        options["most_requests"] = most_requests
    making: list[Step] = [common.elicited({"name": "expand_self_instruct", **options}, out="tasks")]
    learnt = [ROWS, "tasks"]
    if evolve_rounds:
        evolve = {"name": "evolve", "rounds": evolve_rounds}
        making.append(common.elicited(evolve, out="harder", rows="tasks"))
        learnt.append("harder")
    making.append(Mix(out="all_tasks", rows=tuple(learnt), seed=common.seed))
    return common.recipe("self_instruct", tuple(making), learnt="all_tasks")
