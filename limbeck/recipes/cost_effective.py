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

from limbeck.recipes.comparison import compared
from limbeck.recipes.encoders import LABELS, TUNED, Encoders
from limbeck.recipes.inputs import StudentLike, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Step
from limbeck.recipes.terms import Term


@compared(num_train_epochs=10.0, per_device_train_batch_size=64)
def cost_effective(
    usual: Encoders,
    *,
    student: StudentLike,
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.5,
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    teacher_is_tuned: bool = False,
    label_epochs: float = 3.0,
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
    made, start = common_start(student, seed=usual.seed)
    teacher = usual.teacher if teacher_is_tuned else TUNED
    scores = (
        Term(name="cross_entropy", weight=round(1 - alpha, 12)),
        Term(name="corrected_mse", weight=alpha, options={"smoothing": smoothing} if smoothing else {}),
    )

    def on_labels(out: str, origin: str) -> Step:
        return usual.train(out, origin, LABELS, num_train_epochs=label_epochs)

    labelled = (usual.train("labelled", start, LABELS), on_labels("baseline", "labelled"))
    steps = (
        *(() if teacher_is_tuned else (on_labels(TUNED, usual.teacher),)),
        *made,
        *(labelled if usual.baseline else ()),
        usual.train("scored", start, scores, teacher),
        on_labels("student", "scored"),
    )
    return usual.recipe("cost_effective", steps, teacher=teacher)
