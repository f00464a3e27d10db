"""What recipes share whose teacher writes the rows: any teacher, and a baseline of equal steps."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from limbeck.core.measures import MetricName
from limbeck.core.training import Rate
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import ROWS, Columns, StudentLike, TeacherLike, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Elicit, Evaluate, Load, Step, Train
from limbeck.recipes.students import Student
from limbeck.recipes.terms import Term

MEASURED: tuple[MetricName, ...] = ("perplexity", "generation", "speed")
"""What a student is measured by whose teacher gives text alone."""

LEARNT = (Term(name="cross_entropy"),)


@dataclass(frozen=True, kw_only=True)
class Elicited:
    """The usual inputs: a student that learns what a teacher wrote, beside the same student taught otherwise.

    Attributes:
        teacher: an endpoint, a folder or an id.
        student: folder or id, or how it is made.
        data: rows that the teacher starts from.
        columns: limbeck's name -> the file's name.
        heldout: share below 1, or number of rows.
        baseline: whether the student is trained without the method, too.
        learning_rate: of all trainings, as everything below.
        max_steps: of each training: rows made and rows given differ in length and number.
        per_device_train_batch_size: as in `TrainingSettings`.
        max_length: as there.
        seed: as there, and of what the teacher draws.
    """

    teacher: TeacherLike
    student: StudentLike
    data: Data
    columns: Columns | None = None
    heldout: float = 0.05
    baseline: bool = True
    learning_rate: Rate = "auto"
    max_steps: Annotated[int, Field(ge=1)] = 1000
    per_device_train_batch_size: int = 32
    max_length: int = 512
    seed: int = 0

    def loaded(self, **of_step: Any) -> Load:
        """The rows that the teacher starts from, some held out."""
        return Load(
            out="rows", path=self.data, columns=dict(self.columns or {}), heldout=self.heldout, **of_step
        )

    def elicited(
        self,
        operator: str | dict[str, Any],
        *,
        out: str = "elicited",
        rows: str | None = ROWS,
        **of_step: Any,
    ) -> Elicit:
        """A step in which an operator asks the teacher about the training rows."""
        return Elicit.model_validate(
            {
                "out": out,
                "teacher": as_teacher(self.teacher),
                "operator": operator,
                "rows": rows,
                "seed": self.seed,
                **of_step,
            }
        )

    def trained(
        self, out: str, start: Student, rows: str, objective: tuple[Term, ...] = LEARNT, **of_step: Any
    ) -> Train:
        """A training of the student, in as many steps as every other one."""
        return Train.model_validate(
            {
                "out": out,
                "student": start,
                "rows": rows,
                "objective": objective,
                "learning_rate": self.learning_rate,
                "max_steps": self.max_steps,
                "per_device_train_batch_size": self.per_device_train_batch_size,
                "weight_decay": 0.01,
                "max_length": self.max_length,
                "seed": self.seed,
                **of_step,
            }
        )

    def recipe(
        self,
        name: str,
        making: tuple[Step, ...],
        *,
        learnt: str = "elicited",
        compared: str = ROWS,
        of_training: dict[str, Any] | None = None,
        of_student: dict[str, Any] | None = None,
        of_loading: dict[str, Any] | None = None,
        **of_evaluation: Any,
    ) -> Recipe:
        """The whole recipe.

        Args:
            name: of the recipe.
            making: steps that make the rows the student learns from.
            learnt: these rows.
            compared: rows that the baseline learns from: the data's own answers, or others of the teacher.
            of_training: further fields of both trainings.
            of_student: further fields of the student's own.
            of_loading: further fields of the load step.
            of_evaluation: further fields of the evaluation.
        """
        made, start = common_start(self.student, seed=self.seed)
        fields = of_training or {}
        return Recipe(
            name=name,
            steps=(
                self.loaded(**(of_loading or {})),
                *made,
                *making,
                *((self.trained("baseline", start, compared, **fields),) if self.baseline else ()),
                self.trained("student", start, learnt, **fields, **(of_student or {})),
                self.evaluated(**of_evaluation),
            ),
        )

    def evaluated(self, **of_step: Any) -> Evaluate:
        """Student and baseline on held-out rows."""
        return Evaluate.model_validate(
            {
                "model": "student",
                "baseline": "baseline" if self.baseline else None,
                "rows": "rows.heldout",
                "metrics": MEASURED,
                "max_length": self.max_length,
                **of_step,
            }
        )
