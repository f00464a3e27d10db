"""Patient KD: a classifier with fewer layers learns its teacher's scores and inner summaries.

Sun et al. 2019, arXiv:1908.09355; intersun/PKD-for-BERT-Model-Compression, `src/KD_loss.py`.
loss = (1 - alpha) * CE + alpha * T^2 * KL(teacher || student) + beta * patient. Defaults from its
example command: alpha 0.7, T 10, beta 500 (for a mean over a width of 768), learning rate 1e-5; batch
32, 4 epochs, 128 tokens and 10 % warm-up from memory; the student starts from the teacher's first
layers and is matched by PKD-skip. Departures:

- the soft part is a mean over rows; the official `KLDivLoss` also divides by the number of classes;
- float32 where the official code casts to half;
- `pool: mean` by default: [CLS] of sentence encoders was never trained as a summary.
"""

from typing import Annotated, Literal

from pydantic import Field

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.comparison import compared
from limbeck.recipes.encoders import LABELS, TUNED, Encoders
from limbeck.recipes.inputs import START, Share
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Build
from limbeck.recipes.students import CutStudent
from limbeck.recipes.terms import Layers, Term

_WARMUP = 0.1


@compared(learning_rate=1e-5, num_train_epochs=4.0)
def pkd(
    usual: Encoders,
    *,
    layers: Annotated[int, Field(ge=2)] = 6,
    teacher_layers: Annotated[int, Field(ge=2)] = 12,
    teacher_is_tuned: bool = False,
    alpha: Share = 0.7,
    beta: Annotated[float, Field(ge=0)] = 500.0,
    temperature: float = 10.0,
    pool: Literal["cls", "mean"] = "mean",
    match: Literal["skip", "last"] = "skip",
) -> Recipe:
    """Cross-entropy, softened scores and normalised summaries of matched layers, on labelled rows.

    The teacher is first fine-tuned on the labels, unless `teacher_is_tuned`. `teacher_layers` is
    its depth (12: BERT base). The baseline is the same cut, trained on the labels alone in as many steps.

    Args:
        teacher: the encoder that teaches, and whose first layers the student keeps: a folder or hub id.
        alpha: weight of the teacher's scores; cross-entropy with the labels has the rest.
        beta: weight of the matched hidden states.
        temperature: softens the scores of teacher and student.
        pool: the summary of a layer: the first token, or the mean over tokens.
        match: skip matches evenly spaced layers of the teacher, last its last ones.
    """
    if layers > teacher_layers:
        raise ConfigError(
            Problem("layers", f"must be at most teacher_layers, {teacher_layers}, got {layers}.")
        )
    teacher = usual.teacher if teacher_is_tuned else TUNED
    hard = Term(name="cross_entropy", weight=round(1 - alpha, 12))
    soft = Term(
        name="forward_kl", weight=alpha, options={"temperature": temperature, "temperature_squared": True}
    )
    inner = Term(
        name="patient", weight=beta, layers=matched(layers, teacher_layers, match), options={"pool": pool}
    )
    steps = (
        *(() if teacher_is_tuned else (usual.train(TUNED, usual.teacher, LABELS, warmup_ratio=_WARMUP),)),
        Build(out=START, student=CutStudent(cut=teacher, layers=tuple(range(layers))), seed=usual.seed),
        *((usual.train("baseline", START, LABELS, warmup_ratio=_WARMUP),) if usual.baseline else ()),
        usual.train("student", START, (hard, soft, inner), teacher, warmup_ratio=_WARMUP),
    )
    return usual.recipe("pkd", steps, teacher=teacher)


def matched(layers: int, teacher_layers: int, match: Literal["skip", "last"]) -> Layers:
    """Student layers 0 to k - 2 with teacher layers, the last of both left out.

    skip: every (N / k)-th, so 12 -> 6 gives 1, 3, 5, 7, 9; last: the ones before the last.
    """
    student = tuple(range(layers - 1))
    if match == "last":
        return Layers(student=student, teacher=tuple(range(teacher_layers - layers, teacher_layers - 1)))
    return Layers(student=student, teacher=tuple((i + 1) * teacher_layers // layers - 1 for i in student))
