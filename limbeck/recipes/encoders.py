"""What recipes of encoders and classifiers share: their usual inputs, rows, trainings and the evaluation."""

from dataclasses import dataclass
from typing import Any, Literal

from limbeck.core.measures import MetricName
from limbeck.core.training import Rate
from limbeck.recipes.comparison import BASELINE
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import ROWS, Columns
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Evaluate, Load, Step, Train
from limbeck.recipes.students import ModelStudent, Student
from limbeck.recipes.teachers import ModelTeacher, Teacher
from limbeck.recipes.terms import Term

LABELS = (Term(name="cross_entropy"),)
TUNED = "tuned"
_CLASSIFIED: tuple[MetricName, ...] = ("classification", "calibration", "speed")


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """The usual inputs of a recipe whose student is an encoder; `compared` makes keywords of them.

    Attributes:
        teacher: folder or id.
        data: rows.
        columns: limbeck's name -> the file's name.
        heldout: share below 1, or number of rows.
        baseline: whether there is a student without the method, too.
        learning_rate: of all trainings, as everything below.
        num_train_epochs: as in `TrainingSettings`.
        max_steps: as there.
        per_device_train_batch_size: as there.
        max_length: as there.
        seed: as there.
    """

    teacher: str
    data: Data
    columns: Columns | None = None
    heldout: float = 0.1
    baseline: bool = True
    learning_rate: Rate = 2e-5
    num_train_epochs: float = 3.0
    max_steps: int = -1
    per_device_train_batch_size: int = 32
    max_length: int = 128
    seed: int = 0

    def recipe(
        self,
        name: str,
        steps: tuple[Step, ...],
        *,
        teacher: str,
        baseline: str | None = BASELINE,
        model_kind: Literal["classifier", "encoder"] = "classifier",
        metrics: tuple[MetricName, ...] = _CLASSIFIED,
    ) -> Recipe:
        """The whole recipe: rows, `steps` that train `student`, and its evaluation.

        Args:
            name: of the recipe.
            steps: between the rows and the evaluation.
            teacher: that the student is measured against.
            baseline: that it is compared with, where one is asked for.
            model_kind: of all models.
            metrics: of the evaluation.
        """
        return Recipe(
            name=name,
            steps=(
                Load(out="rows", path=self.data, columns=dict(self.columns or {}), heldout=self.heldout),
                *steps,
                Evaluate(
                    model="student",
                    teacher=ModelTeacher(model=teacher),
                    baseline=baseline if self.baseline else None,
                    rows="rows.heldout",
                    metrics=metrics,
                    model_kind=model_kind,
                    max_length=self.max_length,
                ),
            ),
        )

    def train(
        self,
        out: str,
        student: Student | str,
        objective: tuple[Term, ...],
        teacher: Teacher | str | None = None,
        **of_step: Any,
    ) -> Train:
        """A training on the rows; terms of weight 0 are left out.

        Args:
            out: its name.
            student: that is trained; a word is a model as it is.
            objective: its terms.
            teacher: that the terms read.
            of_step: further fields, which come before the usual ones.
        """
        usual = {
            "model_kind": "classifier",
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": "linear",
            "weight_decay": 0.01,
            "adam_beta2": 0.999,
            "num_train_epochs": self.num_train_epochs,
            "max_steps": self.max_steps,
            "per_device_train_batch_size": self.per_device_train_batch_size,
            "max_length": self.max_length,
            "packing": False,
            "seed": self.seed,
        }
        return Train(
            out=out,
            student=ModelStudent(model=student) if isinstance(student, str) else student,
            teacher=ModelTeacher(model=teacher) if isinstance(teacher, str) else teacher,
            rows=ROWS,
            objective=tuple(term for term in objective if term.weight),
            **{**usual, **of_step},
        )
