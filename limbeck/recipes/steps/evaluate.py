"""`evaluate`: models measured on held-out rows."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.core.kinds import KindChoice
from limbeck.core.measures import MetricName, needs_teacher
from limbeck.recipes.kind_settings import KindSettings
from limbeck.recipes.named_models import Word
from limbeck.recipes.references import Names
from limbeck.recipes.sentences import part_said
from limbeck.recipes.steps.step import READ_BY, Makes, Step
from limbeck.recipes.steps.train import GROUPS, Train
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.teachers.capabilities import INNER, NEW_ROWS, Ask
from limbeck.recipes.teaching import asked_problems, unanswered
from limbeck.report.words import listed

_OF_STATES = "similarity"
_OF_TEXTS = "anls"


class Evaluate(Step, KindSettings):
    """Compare teacher, student and baseline on held-out rows."""

    kind: ClassVar[str] = "evaluate"
    makes: ClassVar[Makes] = "evaluation"
    settings: ClassVar[tuple[str, ...]] = (*READ_BY, *KindSettings.model_fields)
    out: str = "evaluation"
    model: Annotated[Word, Names("model")]
    teacher: Teacher | None = None
    baseline: Annotated[Word | None, Names("model")] = None
    rows: Annotated[str, Names("rows", heldout=True)]
    metrics: tuple[MetricName, ...] = Field(min_length=1)
    model_kind: KindChoice = "auto"
    task: Literal["python_syntax", "exact_match", "final_answer"] | None = None
    loss_on: Literal["last_assistant", "all_assistant", "all"] = "all_assistant"
    max_length: int = Field(default=1024, ge=2)
    max_target_length: int = Field(default=256, ge=1)
    max_new_tokens: int = Field(default=64, ge=1)
    prompts: int = Field(default=32, ge=1, description="held-out prompts that are completed")
    limit: int | None = Field(default=None, ge=1, description="at most this many held-out rows")
    max_positions: int | None = Field(default=None, ge=1, description="read entries at random up to so many")
    batch_size: int = Field(default=8, ge=1)
    seed: int = Field(default=0, ge=0)

    def measured_task(
        self, earlier: Sequence[Step], columns: Sequence[str] = ("rationale",)
    ) -> Literal["default", "two_task", "label"]:
        """How held-out rows with these columns are put to the model: as its training put them.

        Of a preference the chosen answer is measured, with or without the rejected one in the rows. Rows
        whose rationales nobody wrote are labelled alone.
        """
        trained = Train.that_made(self.model, earlier)
        if trained is None or trained.task != "two_task":
            return "default"
        return "two_task" if "rationale" in columns else "label"

    def read_otherwise(self, earlier: Sequence[Step]) -> Iterator[str]:
        """Sentences on fields that it reads rows by, where the training of its student had others."""
        trained = Train.that_made(self.model, earlier)
        if trained is None:
            return
        for name in READ_BY:
            learnt, measured = getattr(trained, name), getattr(self, name)
            if learnt != measured:
                yield (
                    f"Measured with {name} {measured}, and {trained.out} is trained with {learnt}: other "
                    f"tokens than it learns from. Write {name}={learnt} for all steps."
                )

    def told_apart(self, captured: Mapping[str, Teacher]) -> "Evaluate":
        """A word for a store is the model that was captured: held-out rows are in no store."""
        if self.teacher is None:
            return self
        return self.model_copy(update={"teacher": self.teacher.with_others(captured)})

    def sentence(self) -> str:
        """What it did, for the report."""
        others = [part_said(one) for one in (self.teacher, self.baseline) if one is not None]
        against = f" against {listed(others)}" if others else ""
        return f"Compared {part_said(self.model)}{against} on `{self.rows}`"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """Metrics, teacher and baseline go together."""
        if self.baseline is not None and self.baseline == self.model:
            yield Problem("baseline", f"must be another model than `model`, got '{self.baseline}' twice.")
        if self.teacher is not None:
            yield from asked_problems(self.teacher, NEW_ROWS, "asks about rows that were held out")
            if _OF_STATES in self.metrics:
                ask = Ask("teacher", INNER, f"{_OF_STATES} compares hidden states")
                yield from unanswered(self.teacher, [ask])
            yield from self.teacher.group_problems(GROUPS[self.measured_task(earlier)])
        else:
            for place, metric in enumerate(self.metrics):
                if needs_teacher(metric):
                    yield Problem(
                        f"metrics.{place}", f"{metric} compares with a teacher: give the step a teacher."
                    )
        if _OF_TEXTS in self.metrics and "generation" not in self.metrics:
            yield Problem(
                "metrics", f"must have generation beside {_OF_TEXTS}, which judges what it writes. Add it."
            )
        if self.task is not None and "generation" not in self.metrics:
            yield Problem(
                "task", f"judges completions: add generation to metrics, got {', '.join(self.metrics)}."
            )
