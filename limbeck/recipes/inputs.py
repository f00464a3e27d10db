"""Types of recipe inputs; `runs.resolve` checks what the user gave against them."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from limbeck.recipes.steps import Build, Step
from limbeck.recipes.students import ModelStudent, Student
from limbeck.recipes.teachers import Teacher

StudentLike = Student | str
"""A model's folder or id, `{cut: DIR, layers: 3}`, `{prune: DIR, ratio: 0.6}`, `{fresh: DIR, sizes: ...}`."""

TeacherLike = Teacher | str
"""A model's folder or id, or `{ensemble: [A, B]}`."""

Share = Annotated[float, Field(ge=0, le=1)]
Columns = Mapping[str, str]

MEANINGS = {
    "teacher": "who teaches: a model's folder or hub id; where text is asked of it also "
    "{endpoint: URL, model: NAME}; where distributions are, {ensemble: [A, B]} or a store {signals: DIR}",
    "student": "the model that is trained: a folder, a hub id, {cut: DIR, layers: 6}, "
    "{prune: DIR, ratio: 0.6} or {fresh: DIR, sizes: {...}}; "
    "tokenizer: DIR in the braces gives it another tokenizer",
    "data": "training rows: a file, a folder or a hub id",
    "columns": "limbeck's column names and the file's: {prompt: question, completion: reply}",
    "heldout": "rows kept out of training to evaluate on: a share below 1, or a number of rows",
    "validation": "rows kept out for validation during training: a share below 1, or a number of rows",
    "baseline": "also train the same student without the method, to compare with",
    "learning_rate": "peak learning rate; auto: by the student's size",
    "num_train_epochs": "passes over the training rows",
    "max_steps": "optimizer steps; above 0 they replace num_train_epochs",
    "per_device_train_batch_size": "rows per batch and device; causal models pack rows, and it counts packs",
    "max_length": "tokens per row, and per pack of rows",
    "seed": "of shuffling, sampling and new weights",
    "kd_ratio": "weight of the distillation loss; cross-entropy with the data has the rest",
    "temperature": "softens the distributions of teacher and student; 1 leaves them as they are",
    "max_new_tokens": "longest completion that is generated, in tokens",
    "sampling_temperature": "temperature that completions are sampled at; 0 is greedy",
    "sft_steps": "optimizer steps on the data before either training",
    "validate_every": "optimizer steps between two measurements of the validation loss",
    "tolerance": "rise of the validation loss, in nats, that raises the share of the student's samples",
    "capacity": "samples of the student that are kept for reuse",
    "layers": "layers of the student",
    "teacher_layers": "layers of the teacher; 12 is BERT base",
    "teacher_is_tuned": "whether the teacher is already fine-tuned on this task; if not, it is first",
    "compat": "paper follows the paper, released the authors' code where the two differ",
}
"""What inputs mean that recipes share; a recipe's own `Args` come before these."""

START = "start"
ROWS = "rows.train"


def common_start(student: StudentLike, *, seed: int) -> tuple[tuple[Step, ...], Student]:
    """Steps that make the student, and what they make: trainings of a recipe start from equal weights.

    A model that is taken as it is needs no step. One that is pruned reads `rows.train`, as all
    recipes call the rows they learn from.
    """
    wanted = student if isinstance(student, Student) else Student.model_validate(student)
    if isinstance(wanted, ModelStudent):
        return (), wanted
    rows = ROWS if wanted.reads_rows else None
    return (Build(out=START, student=wanted, rows=rows, seed=seed),), wanted.at(START)


def as_teacher(teacher: TeacherLike) -> Teacher:
    """The teacher that an input means."""
    return teacher if isinstance(teacher, Teacher) else Teacher.model_validate(teacher)
