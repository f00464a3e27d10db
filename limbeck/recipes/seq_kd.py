"""Sequence-level distillation: the teacher generates the answers, the student is fine-tuned on them.

Kim & Rush 2016, arXiv:1606.07947. Defaults follow MiniLLM's SeqKD row (microsoft/LMOps,
`scripts/gpt2/seqkd`): answers sampled once at temperature 1 and top-p 1, then plain fine-tuning
with weight decay 0.01, cosine, clip 1.0, batch 32. Departures:

- Kim & Rush take the mode of the teacher by beam search; `sampling_temperature=0` is the nearest;
- MiniLLM's script adds word-level KD on the pseudo data, its table does not; here it is not added;
- training is counted in steps, so that the baseline on the original answers, whose rows have
  other lengths, gets as many; learning rate and number of steps are ours.
"""

from typing import Annotated

from pydantic import Field

from limbeck.core.training import Rate
from limbeck.recipes.comparison import COMPARED
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import Columns, StudentLike, TeacherLike, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Evaluate, Generate, Load, Step, Train
from limbeck.recipes.terms import Term


def seq_kd(
    *,
    teacher: TeacherLike,
    student: StudentLike,
    data: Data,
    max_new_tokens: int = 256,
    sampling_temperature: float = 1.0,
    top_p: float = 1.0,
    samples: int = 1,
    columns: Columns | None = None,
    heldout: float = 0.05,
    baseline: bool = True,
    learning_rate: Rate = "auto",
    max_steps: Annotated[int, Field(ge=1)] = 1000,
    per_device_train_batch_size: int = 32,
    max_length: int = 512,
    seed: int = 0,
) -> Recipe:
    """Cross-entropy with the teacher's completions of the data's prompts.

    The baseline learns the answers of the data in as many steps.

    Args:
        top_p: nucleus sampling: tokens are sampled from this share of the probability.
        samples: completions that the teacher generates for each prompt.
    """
    made, start = common_start(student, seed=seed)

    def train(out: str, rows: str) -> Step:
        return Train(
            out=out,
            student=start,
            rows=rows,
            objective=(Term(name="cross_entropy"),),
            learning_rate=learning_rate,
            max_steps=max_steps,
            per_device_train_batch_size=per_device_train_batch_size,
            weight_decay=0.01,
            max_length=max_length,
            seed=seed,
        )

    return Recipe(
        name="seq_kd",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *made,
            *((train("baseline", "rows.train"),) if baseline else ()),
            Generate(
                out="written",
                teacher=as_teacher(teacher),
                rows="rows.train",
                max_new_tokens=max_new_tokens,
                sampling_temperature=sampling_temperature,
                top_p=top_p,
                samples=samples,
                seed=seed,
            ),
            train("student", "written"),
            Evaluate(
                model="student",
                teacher=as_teacher(teacher),
                baseline="baseline" if baseline else None,
                rows="rows.heldout",
                metrics=COMPARED,
                max_length=max_length,
            ),
        ),
    )
