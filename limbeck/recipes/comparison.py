"""What recipes of causal students share: their usual inputs, one start, a baseline of equal steps."""

from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

from limbeck.core.measures import MetricName
from limbeck.core.training import Rate
from limbeck.recipes.data import Data
from limbeck.recipes.inputs import Columns, StudentLike, TeacherLike, as_teacher, common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Evaluate, Generate, Load, Step, Train
from limbeck.recipes.students import Student
from limbeck.recipes.terms import Term

COMPARED: tuple[MetricName, ...] = ("perplexity", "fidelity", "calibration", "generation", "speed")
BASELINE = "baseline"
PLAIN = (Term(name="cross_entropy"),)
_OF_TRAINING = (
    "learning_rate",
    "num_train_epochs",
    "max_steps",
    "per_device_train_batch_size",
    "max_length",
    "seed",
)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The usual inputs: a student distilled from a teacher, beside the same student trained otherwise.

    Attributes:
        teacher: folder or id, or several.
        student: folder or id, or how it is made.
        data: rows.
        columns: limbeck's name -> the file's name.
        heldout: share below 1, or number of rows.
        baseline: whether the student is trained without the method, too.
        learning_rate: of both trainings, as everything below.
        num_train_epochs: as in `TrainingSettings`.
        max_steps: as there.
        per_device_train_batch_size: as there.
        max_length: as there.
        seed: as there.
    """

    teacher: TeacherLike
    student: StudentLike
    data: Data
    columns: Columns | None = None
    heldout: float = 0.05
    baseline: bool = True
    learning_rate: Rate = "auto"
    num_train_epochs: float = 3.0
    max_steps: int = -1
    per_device_train_batch_size: int = 32
    max_length: int = 512
    seed: int = 0

    def recipe(
        self,
        name: str,
        objective: tuple[Term, ...],
        *,
        compared: tuple[Term, ...] = PLAIN,
        compared_out: str = BASELINE,
        before: tuple[Step, ...] = (),
        rows: str = "rows.train",
        validation_share: float = 0.0,
        sft_steps: int = 0,
        metrics: tuple[MetricName, ...] = COMPARED,
        **of_student: Any,
    ) -> Recipe:
        """The whole recipe; a training reads the teacher if one of its terms, or its rollouts, do.

        Args:
            name: of the recipe.
            objective: terms of the distilled student.
            compared: terms of the baseline.
            compared_out: its name.
            before: steps between the baseline's training and the student's.
            rows: what the student learns from.
            validation_share: part of the rows for validation during training, as `heldout`.
            sft_steps: optimizer steps on the data before either training; 0: none.
            metrics: of the evaluation.
            of_student: further fields of the student's train step.
        """
        made, start = common_start(self.student, seed=self.seed)
        warmed = (self._train("warmed", start, PLAIN, max_steps=sft_steps),) if sft_steps else ()
        start = start.at("warmed") if warmed else start
        return Recipe(
            name=name,
            steps=(
                Load(
                    out="rows",
                    path=self.data,
                    columns=dict(self.columns or {}),
                    heldout=self.heldout,
                    validation=validation_share,
                ),
                *made,
                *warmed,
                *((self._train(compared_out, start, compared),) if self.baseline else ()),
                *before,
                self._train("student", start, objective, rows=rows, **of_student),
                Evaluate(
                    model="student",
                    teacher=as_teacher(self.teacher),
                    baseline=compared_out if self.baseline else None,
                    rows="rows.heldout",
                    metrics=metrics,
                    max_length=self.max_length,
                ),
            ),
        )

    def written(self, out: str = "written", **of_writing: Any) -> Generate:
        """A step in which the teacher generates answers to the training prompts."""
        return Generate(
            out=out, teacher=as_teacher(self.teacher), rows="rows.train", seed=self.seed, **of_writing
        )

    def _train(self, out: str, start: Student, objective: tuple[Term, ...], **of_step: Any) -> Train:
        reads = any(word.startswith("teacher_") for term in objective for word in term.signals)
        settings = {name: getattr(self, name) for name in _OF_TRAINING}
        return Train(
            out=out,
            student=start,
            teacher=as_teacher(self.teacher) if reads or of_step.get("rollouts") else None,
            objective=objective,
            **{"rows": "rows.train", "weight_decay": 0.01, **settings, **of_step},
        )


def compared(**defaults: Any) -> Callable[[Callable[..., Recipe]], Callable[..., Recipe]]:
    """Give a function of a template and its own inputs the template's inputs as keywords of its own.

    A template is a dataclass of usual inputs, `Comparison` or `recipes.encoders.Encoders`: the first argument
    of the function. `core.catalogue` reads the same from the source. `defaults` are those that are not the
    usual ones.
    """

    def flattened(make: Callable[..., Recipe]) -> Callable[..., Recipe]:
        parameters = list(signature(make).parameters.values())
        template = get_type_hints(make)[parameters[0].name]
        hints = get_type_hints(template, include_extras=True)
        usual = {
            field.name: Parameter(
                field.name,
                Parameter.KEYWORD_ONLY,
                annotation=hints[field.name],
                default=defaults.get(field.name, _default(field.default)),
            )
            for field in fields(template)
        }
        own = [one for one in parameters if one.kind is Parameter.KEYWORD_ONLY]
        required = [one for one in usual.values() if one.default is Parameter.empty]
        others = [one for one in usual.values() if one.default is not Parameter.empty]

        @wraps(make)
        def recipe(**inputs: Any) -> Recipe:
            mine = {one.name for one in own}
            common = {**defaults, **{name: value for name, value in inputs.items() if name not in mine}}
            return make(template(**common), **{name: inputs[name] for name in mine & inputs.keys()})

        recipe.__signature__ = Signature([*required, *own, *others])  # type: ignore[attr-defined]
        return recipe

    return flattened


def _default(value: Any) -> Any:
    return Parameter.empty if value is MISSING else value
