"""Adaptive KL: forward KL where the student is wrong about the likely tokens, reverse KL about the others.

Wu et al. 2024, arXiv:2404.02657; wutaiqiang/LLM_KD_AKL, `AKL.py`. In its experiments the loss takes the
place of the divergence in MiniLLM's KD recipe, so the baseline here is that recipe: forward KL, everything
else equal. Defaults: mu 0.5, kd_ratio 0.5, no temperature; cosine, weight decay 0.01, clip 1.0, batch 32, max
length 512. Departures:

- the head is the paper's, the smallest set of likeliest tokens with mass mu; the released code leaves out
  the token that crosses mu (`compat: released` in the term);
- means run over the tokens of the whole optimizer step, not of each rank;
- learning rate and epochs are ours: 5e-4 and 20 epochs for GPT-2, 1e-5 and 10 epochs for TinyLlama there.

In the paper forward and reverse KL have the same optimum and differ in what is learnt first, so the gain is
one of short trainings (`tests/objectives/test_what_is_learnt_first.py` shows it on 80 outcomes).
"""

from typing import Annotated

from pydantic import Field

from limbeck.recipes.inputs import Columns, StudentLike, common_start
from limbeck.recipes.model import Evaluate, Load, Recipe, Step, Train
from limbeck.recipes.parts import Teacher, Term
from limbeck.recipes.word_kd import COMPARED


def akl(
    *,
    teacher: str,
    student: StudentLike,
    data: str,
    mu: Annotated[float, Field(gt=0, lt=1)] = 0.5,
    kd_ratio: Annotated[float, Field(gt=0, le=1)] = 0.5,
    columns: Columns | None = None,
    heldout: float = 0.05,
    baseline: bool = True,
    learning_rate: float = 1e-4,
    num_train_epochs: float = 3.0,
    max_steps: int = -1,
    per_device_train_batch_size: int = 32,
    max_length: int = 512,
    seed: int = 0,
) -> Recipe:
    """Forward and reverse KL from the teacher, weighed at every token by where the gap is.

    loss = (1 - kd_ratio) * cross_entropy + kd_ratio * adaptive_kl, each a mean over tokens. The baseline has
    forward_kl in its place, and learns the same rows in as many steps.
    """
    made, start = common_start(student, seed=seed)

    def train(out: str, soft: Term) -> Step:
        hard = Term(name="cross_entropy", weight=round(1 - kd_ratio, 12))
        return Train(
            out=out,
            student=start,
            teacher=Teacher(model=teacher),
            rows="rows.train",
            objective=tuple(term for term in (hard, soft) if term.weight),
            learning_rate=learning_rate,
            num_train_epochs=num_train_epochs,
            max_steps=max_steps,
            per_device_train_batch_size=per_device_train_batch_size,
            weight_decay=0.01,
            max_length=max_length,
            seed=seed,
        )

    return Recipe(
        name="akl",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *made,
            *((train("forward", Term(name="forward_kl", weight=kd_ratio)),) if baseline else ()),
            train("student", Term(name="adaptive_kl", weight=kd_ratio, options={"mu": mu})),
            Evaluate(
                model="student",
                teacher=Teacher(model=teacher),
                baseline="forward" if baseline else None,
                rows="rows.heldout",
                metrics=COMPARED,
                max_length=max_length,
            ),
        ),
    )
