"""Self-improvement: a student learns from what it wrote itself and a gate found right.

- `way: star` (Zelikman et al. 2022, arXiv:2203.14465; ezelikman/STaR, `iteration_train.py`): in every round
  the student of the round before reasons about all questions; what arrives at the answer is kept. Of the
  others it is told the answer, reasons its way to it, and learns the reasons without having been told. Every
  round trains the first student anew, with a fifth more steps.
- `way: rejection` (Yuan et al. 2023, arXiv:2308.01825; ReST, Gulcehre et al. 2023, arXiv:2308.08998): the
  same without hints; `samples` draws of every question.
- `way: spin` (Chen et al. 2024, arXiv:2401.01335; uclaml/SPIN): the data's own answers are preferred to the
  student's, by DPO against the student of the round before, whose weights go on. No gate is asked.

Departures: 3 rounds and 40 first steps, from STaR's script, are defaults of `star` and `rejection`; SPIN's
loss is DPO's with the same `beta`, 0.1; steps of a SPIN round and the learning rates are ours. STaR draws
greedily; `rejection` samples at temperature 1. The baseline learns the data's own answers in as many steps as
the last round. There is no other teacher: what the student cannot come to by itself stays unlearnt, and only
the gate keeps wrong answers out.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.training import Rate
from limbeck.recipes.data import Data
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import ROWS, Columns, StudentLike, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Mix, Pair, Step
from limbeck.recipes.students import Student
from limbeck.recipes.terms import Term

_GROWTH = 1.2  # steps of a round over those of the one before, in STaR's script


def self_improve(
    *,
    student: StudentLike,
    data: Data,
    way: Literal["star", "rejection", "spin"] = "star",
    rounds: Annotated[int, Field(ge=1, le=64)] = 3,
    gate: str | dict[str, Any] = "math_equal",
    prompt: str = "chain_of_thought",
    hint_prompt: str = "rationalise_wrong",
    samples: Annotated[int, Field(ge=1)] = 4,
    beta: Annotated[float, Field(gt=0)] = 0.1,
    max_new_tokens: Annotated[int, Field(ge=1)] = 256,
    columns: Columns | None = None,
    heldout: float = 0.1,
    baseline: bool = True,
    learning_rate: Rate = "auto",
    pairs_learning_rate: float = 5e-7,
    max_steps: Annotated[int, Field(ge=1)] = 40,
    per_device_train_batch_size: int = 8,
    max_length: int = 512,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy with what the student wrote and a gate found right, or DPO against what it wrote.

    Args:
        way: star, rejection or spin.
        rounds: of writing and learning.
        gate: that says whether an answer is right, with its settings; it compares with the row's own answer,
            which is in `reference`. A wrong gate teaches wrong answers.
        prompt: a prompt file by which the student reasons (`star`, `rejection`).
        hint_prompt: one by which it is told the answer (`star`).
        samples: draws of each question (`rejection`).
        beta: how far a round may leave the one before (`spin`).
        max_new_tokens: of what the student writes.
        pairs_learning_rate: of `spin`.
        max_steps: of the first round; every further one of `star` and `rejection` has a fifth more.
    """
    made, start = common_start(student, seed=seed)
    common = Elicited(
        teacher=start.origin,
        student=student,
        data=data,
        columns=columns,
        heldout=heldout,
        baseline=baseline,
        learning_rate=learning_rate,
        max_steps=max_steps,
        per_device_train_batch_size=per_device_train_batch_size,
        max_length=max_length,
        seed=seed,
    )
    steps: list[Step] = [common.loaded(), *made]
    last, count = start, max_steps
    for number in range(1, rounds + 1):
        out = "student" if number == rounds else f"round_{number}"
        if way == "spin":
            steps += _played(common, last, out, number, beta, pairs_learning_rate, max_new_tokens)
        else:
            count = round(max_steps * _GROWTH ** (number - 1))
            reason: dict[str, Any] = {
                "name": "rationalise",
                "learn": "reasoning",
                "max_new_tokens": max_new_tokens,
            }
            hinted = {"name": "rationalise_wrong", "prompt": hint_prompt, "max_new_tokens": max_new_tokens}
            draws: dict[str, Any] = {"samples": samples} if way == "rejection" else {}
            heat = {"sampling_temperature": 1.0} if draws else {}
            reason |= {"prompt": prompt, **heat}
            by = as_teacher(last.origin)
            tried = common.elicited(reason, out=f"tried_{number}", teacher=by, gates=[gate], **draws)
            steps.append(tried)
            learnt = tried.out
            if way == "star":
                wrong, learnt = f"hinted_{number}", f"right_{number}"
                refused: dict[str, Any] = {"rows": f"{tried.out}.rejected", "fewest": 0}
                steps.append(common.elicited(hinted, out=wrong, teacher=by, gates=[gate], **refused))
                steps.append(Mix(out=learnt, rows=(tried.out, wrong), seed=seed))
            steps.append(common.trained(out, start, learnt, max_steps=count))
        last = start.at(out)
    if baseline:
        steps.append(common.trained("baseline", start, ROWS, max_steps=count))
    return Recipe(name="self_improve", steps=(*steps, common.evaluated(**_measured(way, max_new_tokens))))


def _played(
    common: Elicited, last: Student, out: str, number: int, beta: float, rate: float, max_new_tokens: int
) -> tuple[Step, ...]:
    """A round of SPIN: the data's answers against those of the student before it."""
    said, pairs = f"said_{number}", f"pairs_{number}"
    answer, by = {"name": "answer", "max_new_tokens": max_new_tokens}, as_teacher(last.origin)
    return (
        common.elicited(answer, out=said, teacher=by),
        Pair(out=pairs, rows=ROWS, against=said, seed=common.seed),
        common.trained(
            out,
            last,
            pairs,
            (Term(name="dpo", options={"beta": beta}),),
            teacher=by,
            task="preference",
            learning_rate=rate,
            packing=False,
        ),
    )


def _measured(way: str, max_new_tokens: int) -> dict[str, Any]:
    return {} if way == "spin" else {"task": "final_answer", "max_new_tokens": max_new_tokens, "prompts": 256}
