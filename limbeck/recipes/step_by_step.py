"""Distilling step-by-step: predict the label and explain it, as two tasks of one model.

Hsieh et al. 2023, arXiv:2305.02301; google-research/distilling-step-by-step, `run.py` and
`model_utils.py`. Defaults from there: alpha 0.5, learning rate 5e-5, linear decay, batch 64,
10,000 steps, inputs of 1,024 and targets of 256 tokens, 64 new tokens. Departures:

- a row of which the teacher's rationale or label cannot be read is left out and counted, where the
  official code learns a blank; the few-shot prompts are ours;
- rows may bring their rationales (column `rationale`), then no teacher is asked;
- the two means run over the whole optimizer step, not over each micro-batch;
- 10 % of the rows are held out by number, and no checkpoint is picked on them.
"""

from typing import Literal

from limbeck.core.training import Rate
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import ROWS, Columns, Share, StudentLike, TeacherLike, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Elicit, Evaluate, Load, Step, Train
from limbeck.recipes.terms import Term


def step_by_step(
    *,
    student: StudentLike,
    data: Data,
    teacher: TeacherLike | None = None,
    prompt: str = "chain_of_thought",
    labels: Literal["teacher", "own"] = "teacher",
    elicited_tokens: int = 1024,
    alpha: Share = 0.5,
    columns: Columns | None = None,
    heldout: float = 0.1,
    baseline: bool = True,
    learning_rate: Rate = 5e-5,
    num_train_epochs: float = 1.0,
    max_steps: int = 10_000,
    per_device_train_batch_size: int = 64,
    max_length: int = 1024,
    max_target_length: int = 256,
    max_new_tokens: int = 64,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy on labels (alpha) and on rationales (1 - alpha), each with its own token mean.

    Only the label task is decoded when measuring. The baseline learns the labels alone, on the
    same batches, in as many steps.

    Args:
        teacher: who writes rationales and labels: an endpoint or a model; none: the rows have rationales.
        prompt: how the teacher is asked: a prompt file, or one of limbeck's (`limbeck prompts list`):
            `chain_of_thought` without examples; `step_by_step_cqa`, `step_by_step_nli` and
            `step_by_step_maths` with some, to be copied and filled with yours.
        labels: whose labels are learnt beside the teacher's rationales: the teacher's, or the data's own.
        elicited_tokens: longest reply of the teacher, in tokens.
        alpha: weight of the label task; the rationale task has the rest.
        max_target_length: tokens of a label or rationale of a seq2seq model.
        max_new_tokens: longest answer that is generated when measuring, in tokens.
    """
    made, start = common_start(student, seed=seed)

    def train(out: str, objective: tuple[Term, ...]) -> Step:
        return Train(
            out=out,
            student=start,
            rows=ROWS if teacher is None else "rationales",
            objective=objective,
            task="two_task",
            learning_rate=learning_rate,
            lr_scheduler_type="linear",
            num_train_epochs=num_train_epochs,
            max_steps=max_steps,
            per_device_train_batch_size=per_device_train_batch_size,
            max_length=max_length,
            max_target_length=max_target_length,
            packing=False,
            seed=seed,
        )

    asked = None
    if teacher is not None:
        operator = {
            "name": "rationalise",
            "prompt": prompt,
            "labels": labels,
            "max_new_tokens": elicited_tokens,
        }
        asked = Elicit.model_validate(
            {
                "out": "rationales",
                "teacher": as_teacher(teacher),
                "operator": operator,
                "rows": ROWS,
                "seed": seed,
            }
        )
    label = Term(name="cross_entropy", weight=alpha, on="label")
    rationale = Term(name="cross_entropy", weight=1 - alpha, on="rationale")
    return Recipe(
        name="step_by_step",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *made,
            *(() if asked is None else (asked,)),
            *((train("baseline", (Term(name="cross_entropy", on="label"),)),) if baseline else ()),
            train("student", tuple(term for term in (label, rationale) if term.weight)),
            Evaluate(
                model="student",
                baseline="baseline" if baseline else None,
                rows="rows.heldout",
                metrics=("perplexity", "generation", "speed"),
                task="exact_match",
                max_length=max_length,
                max_target_length=max_target_length,
                max_new_tokens=max_new_tokens,
                prompts=256,  # an exact match is one bit: fewer give no usable interval
            ),
        ),
    )
