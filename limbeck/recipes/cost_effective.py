"""Cost-effective distillation: a small encoder copies corrected scores of its teacher, then learns labels.

Dasgupta, Cohn & Baldwin 2023, aclanthology 2023.findings-acl.463; Sayan21/MAKD, `Bert_KD.ipynb`. The
student is one that was distilled for language modelling once and for all (a small BERT); only two short
stages are paid for each task: scores, with loss = (1 - alpha) * cross_entropy + alpha * corrected_mse, then
labels. Defaults from the notebook: alpha 0.5, learning rate 2e-5, batch 64, 10 epochs, no temperature.
Departures:

- the line that is active in the notebook, KL plus the correction, is not used: the correction cancels the
  teacher and leaves plain cross-entropy. This is the squared error, which the notebook holds ready;
- the teacher is first tuned on the labels, unless `teacher_is_tuned`; the notebook leaves that open;
- 10 epochs of scores and 3 of labels: how they are shared between the stages is not said.
"""

from typing import Annotated

from pydantic import Field

from limbeck.recipes.inputs import Columns, StudentLike, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.parts import Student, Teacher
from limbeck.recipes.steps import Evaluate, Load, Step, Train
from limbeck.recipes.terms import Term


def cost_effective(
    *,
    teacher: str,
    student: StudentLike,
    data: str,
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.5,
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    teacher_is_tuned: bool = False,
    columns: Columns | None = None,
    heldout: float = 0.1,
    baseline: bool = True,
    learning_rate: float = 2e-5,
    num_train_epochs: float = 10.0,
    label_epochs: float = 3.0,
    max_steps: int = -1,
    per_device_train_batch_size: int = 64,
    max_length: int = 128,
    seed: int = 0,
) -> Recipe:
    """Corrected scores of a tuned teacher beside cross-entropy, then cross-entropy alone.

    The baseline is the same student, trained on the labels alone in both stages. `smoothing` mixes the
    uniform distribution into the teacher's weights: use it where the teacher is sure of wrong classes.

    Args:
        teacher: the encoder that teaches: a folder or hub id.
        alpha: weight of the teacher's corrected scores in the first stage; cross-entropy has the rest.
        smoothing: share of the uniform distribution in the teacher's weights.
        num_train_epochs: passes over the rows in the first stage, with the teacher.
        label_epochs: passes over the rows in the second stage, on the labels alone.
    """
    made, start = common_start(student, seed=seed)
    tuned = teacher if teacher_is_tuned else "tuned"
    labels = (Term(name="cross_entropy"),)
    scores = (
        Term(name="cross_entropy", weight=round(1 - alpha, 12)),
        Term(name="corrected_mse", weight=alpha, options={"smoothing": smoothing} if smoothing else {}),
    )

    def train(
        out: str, origin: Student, objective: tuple[Term, ...], epochs: float, teacher: str | None = None
    ) -> Step:
        return Train(
            out=out,
            student=origin,
            teacher=None if teacher is None else Teacher(model=teacher),
            rows="rows.train",
            objective=tuple(term for term in objective if term.weight),
            model_kind="classifier",
            learning_rate=learning_rate,
            lr_scheduler_type="linear",
            weight_decay=0.01,
            adam_beta2=0.999,
            num_train_epochs=epochs,
            max_steps=max_steps,
            per_device_train_batch_size=per_device_train_batch_size,
            max_length=max_length,
            packing=False,
            seed=seed,
        )

    compared = (
        train("labelled", start, labels, num_train_epochs),
        train("baseline", Student(model="labelled"), labels, label_epochs),
    )
    return Recipe(
        name="cost_effective",
        steps=(
            Load(out="rows", path=data, columns=dict(columns or {}), heldout=heldout),
            *(() if teacher_is_tuned else (train("tuned", Student(model=teacher), labels, label_epochs),)),
            *made,
            *(compared if baseline else ()),
            train("scored", start, scores, num_train_epochs, tuned),
            train("student", Student(model="scored"), labels, label_epochs),
            Evaluate(
                model="student",
                teacher=Teacher(model=tuned),
                baseline="baseline" if baseline else None,
                rows="rows.heldout",
                metrics=("classification", "calibration", "speed"),
                model_kind="classifier",
                max_length=max_length,
            ),
        ),
    )
