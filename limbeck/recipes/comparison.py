"""What recipes of causal students share: rows, one start, a baseline of equal steps, an evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.recipes.inputs import StudentLike, common_start
from limbeck.recipes.model import METRICS, Evaluate, Generate, Load, Recipe, Step, Train
from limbeck.recipes.parts import Student, Teacher, Term

COMPARED: tuple[METRICS, ...] = ("perplexity", "fidelity", "calibration", "generation", "speed")
PLAIN = (Term(name="cross_entropy"),)


@dataclass(frozen=True)
class Comparison:
    """A student distilled from a teacher, beside the same student trained on the data alone.

    Attributes:
        teacher: folder or id.
        student: folder or id, or how it is made.
        data: rows.
        columns: limbeck's name -> the file's name.
        heldout: share below 1, or number of rows.
        validation: the same, of the other rows, for what training watches.
        baseline: whether the student is trained without a teacher, too.
        sft_steps: optimizer steps on the data before either training; 0: none.
        settings: of both trainings, by the names of `TrainingSettings`.
    """

    teacher: str
    student: StudentLike
    data: str
    settings: Mapping[str, Any]
    columns: Mapping[str, str] | None = None
    heldout: float = 0.05
    validation: float = 0.0
    baseline: bool = True
    sft_steps: int = 0

    def recipe(
        self,
        name: str,
        objective: tuple[Term, ...],
        *,
        before: tuple[Step, ...] = (),
        rows: str = "rows.train",
        reads_teacher: bool = True,
        **fields: Any,
    ) -> Recipe:
        """The whole recipe.

        Args:
            name: of the recipe.
            objective: terms of the distilled student.
            before: steps between the baseline's training and the student's.
            rows: what the student learns from.
            reads_teacher: whether the student's training needs the teacher.
            fields: further fields of the student's train step.
        """
        made, start = common_start(self.student, seed=self._seed)
        warmed = self._train("warmed", start, PLAIN, max_steps=self.sft_steps) if self.sft_steps else None
        start = start if warmed is None else Student(model="warmed")
        teacher = Teacher(model=self.teacher)
        taught = self._train(
            "student", start, objective, rows=rows, teacher=teacher if reads_teacher else None, **fields
        )
        return Recipe(
            name=name,
            steps=(
                self._load(),
                *made,
                *((warmed,) if warmed is not None else ()),
                *((self._train("undistilled", start, PLAIN),) if self.baseline else ()),
                *before,
                taught,
                Evaluate(
                    model="student",
                    teacher=teacher,
                    baseline="undistilled" if self.baseline else None,
                    rows="rows.heldout",
                    metrics=COMPARED,
                    max_length=self.settings.get("max_length", 512),
                ),
            ),
        )

    def written(self, out: str = "written", **fields: Any) -> Generate:
        """A step in which the teacher writes answers to the rows that are learnt from."""
        return Generate(
            out=out, teacher=Teacher(model=self.teacher), rows="rows.train", seed=self._seed, **fields
        )

    @property
    def _seed(self) -> int:
        return int(self.settings.get("seed", 0))

    def _load(self) -> Load:
        return Load(
            out="rows",
            path=self.data,
            columns=dict(self.columns or {}),
            heldout=self.heldout,
            validation=self.validation,
        )

    def _train(self, out: str, start: Student, objective: tuple[Term, ...], **fields: Any) -> Train:
        settings = {"weight_decay": 0.01, **self.settings, **fields}
        return Train(
            **{"out": out, "student": start, "rows": "rows.train", "objective": objective, **settings}
        )
