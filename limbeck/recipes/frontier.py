"""Distilling a frontier model by prompting it well: task-specific elicitation, short students.

Shirgaonkar et al. 2024, arXiv:2410.18588; no code is released. The teacher is asked by a program that suits
the task: reasons before answers, or summaries that get denser. The student learns the answer alone, to the
plain question, so that it answers at once (`internalise`), or reasons and answer. What helps is seen against
the same student that learnt the answers to plain questions. Choices of ours, as the paper's settings are not
public:

- learning rate by the student's size, full fine-tuning (a LoRA service there), equal steps for both students;
- with `internalise: false` the student learns to reason at the plain question, as no instruction to reason is
  in what it learns; there it reads the teacher's instruction, too;
- teacher and untrained student are asked about the held-out rows as the teacher is about the others: plainly,
  and by the program. A teacher is often beaten when it is asked plainly, so both numbers are given; an answer
  that cannot be read counts as wrong. All are greedy, and may write as many tokens;
- no human panel; summaries are for a judge, in a step `gate` of your own, that is not the teacher.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.comparison import compared
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import ROWS, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Elicit

Program = Literal["vanilla", "chain_of_thought", "chain_of_density"]
Graded = Literal["final_answer", "exact_match"]

PROMPTS = {"vanilla": "plain", "chain_of_thought": "chain_of_thought", "chain_of_density": "denser_summary"}
GATES = {"final_answer": "math_equal", "exact_match": "exact_match"}
"""A task of evaluations -> the gate that tells right answers of teachers."""


@compared()
def frontier(
    common: Elicited,
    *,
    program: Program = "chain_of_thought",
    internalise: bool = True,
    prompt: str | None = None,
    task: Graded | None = "final_answer",
    rounds: Annotated[int, Field(ge=1)] = 5,
    max_new_tokens: Annotated[int, Field(ge=1)] = 512,
    prompts: Annotated[int, Field(ge=1)] = 256,
    zero_shot: bool = True,
) -> Recipe:
    """Answers that a program elicits from a teacher, learnt by a student to the plain question.

    The baseline learns the teacher's answers to the plain question; with `program: vanilla` the data's own
    answers. Held-out rows need answers. With `task` the report says how many of these rows teacher and
    untrained student have right, asked plainly and by the program (rows accepted by the gate).

    Args:
        program: how the teacher is asked: plainly, to reason first, or for ever denser summaries.
        internalise: the student learns the answer alone; false, with chain_of_thought: reasons and answer.
        prompt: a prompt file for the program, in the place of limbeck's.
        task: how answers are told right: the final answer by its value, or the whole text; null: neither, as
            for summaries, of which the report shows samples side by side.
        rounds: of chain_of_density.
        max_new_tokens: of every answer: when eliciting, and when measuring.
        prompts: held-out rows that everybody answers, at most.
        zero_shot: ask teacher and untrained student about held-out rows, too.
    """
    _check(program, internalise, prompt, task)
    asked = _operators(program, internalise, prompt, rounds, max_new_tokens)
    making = [common.elicited(asked[program])]
    if program != "vanilla" and common.baseline:
        making.append(common.elicited(asked["vanilla"], out="plain"))
    if zero_shot and task is not None:
        making += _zero_shot(common, asked, task, prompts)
    return common.recipe(
        "frontier",
        tuple(making),
        compared=ROWS if program == "vanilla" else "plain",
        metrics=("generation", "speed"),
        task=task,
        max_new_tokens=max_new_tokens,
        prompts=prompts,
        seed=common.seed,
    )


def _operators(
    program: Program, internalise: bool, prompt: str | None, rounds: int, max_new_tokens: int
) -> dict[str, dict[str, Any]]:
    """The program and the plain question: name -> operator with its settings."""
    file, greedy = prompt or PROMPTS[program], {"max_new_tokens": max_new_tokens, "sampling_temperature": 0.0}
    asked: dict[str, dict[str, Any]] = {
        "vanilla": {"name": "answer", **greedy},
        "chain_of_thought": {
            "name": "rationalise",
            "prompt": file,
            "learn": "answer" if internalise else "reasoning",
            **greedy,
        },
        "chain_of_density": {"name": "chain_of_density", "prompt": file, "rounds": rounds, **greedy},
    }
    if program == "vanilla":
        asked["vanilla"]["prompt"] = file
    return {name: asked[name] for name in dict.fromkeys((program, "vanilla"))}


def _zero_shot(
    common: Elicited, asked: dict[str, dict[str, Any]], task: Graded, prompts: int
) -> list[Elicit]:
    """Teacher and untrained student, asked about held-out rows in each way; the gate tells who is right."""
    _, start = common_start(common.student, seed=common.seed)
    who = {"teacher": as_teacher(common.teacher), "untrained": as_teacher(start.origin)}
    return [
        common.elicited(
            operator,
            out=f"{name}_{way}",
            rows="rows.heldout",
            teacher=teacher,
            gates=(GATES[task],),
            fewest=0,
            failures="skip",
            limit=prompts,
        )
        for name, teacher in who.items()
        for way, operator in asked.items()
    ]


def _check(program: Program, internalise: bool, prompt: str | None, task: Graded | None) -> None:
    problems = []
    if not internalise and program != "chain_of_thought":
        said = f"must be true with {program}, got false; only chain_of_thought tells reasons to learn."
        problems.append(Problem("internalise", said))
    if task is not None and program == "chain_of_density":
        said = f"must be null with chain_of_density, got {task}; no summary is right or wrong by itself."
        problems.append(Problem("task", said))
    if problems:
        raise ConfigError(problems)
