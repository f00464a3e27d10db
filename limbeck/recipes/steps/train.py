"""`train`: a student learns from rows and teachers."""

from typing import ClassVar, Literal

from pydantic import Field

from limbeck.core.rollouts import RolloutSettings
from limbeck.core.training import TrainingSettings
from limbeck.recipes.alignment import Alignment
from limbeck.recipes.domains import Domains
from limbeck.recipes.parts import Student, Teacher
from limbeck.recipes.selection import Selection
from limbeck.recipes.steps.step import Makes, Step
from limbeck.recipes.terms import Term
from limbeck.recipes.watch import Watch


class Train(Step, TrainingSettings):
    """Train a student on rows against a sum of objectives."""

    kind: ClassVar[str] = "train"
    makes: ClassVar[Makes] = "model"
    student: Student
    teacher: Teacher | None = None
    rows: str
    objective: tuple[Term, ...] = Field(min_length=1)
    model_kind: Literal["auto", "causal", "seq2seq", "encoder", "classifier"] = Field(
        default="auto", description="what the models are read as; auto: by the student's configuration"
    )
    task: Literal["default", "two_task", "preference"] = Field(
        default="default",
        description="two_task: predict the label, explain the rationale; preference: chosen and rejected",
    )
    loss_on: Literal["last_assistant", "all_assistant", "all"] = Field(
        default="all_assistant", description="turns of a conversation that are in the loss"
    )
    rollouts: RolloutSettings | None = Field(default=None, description="sequences written while training")
    corpus: str | None = Field(default=None, description="rows each step also learns from, group corpus")
    watch: Watch | None = Field(default=None, description="what is measured while training")
    selection: Selection | None = Field(default=None, description="who answers which row")
    domains: Domains | None = Field(default=None, description="rows drawn by domain; needs watch")
    alignment: Alignment | None = Field(default=None, description="of a teacher with another tokenizer")
    balance: Literal["gradient_magnitude"] | None = Field(
        default=None,
        description="weighs terms so that each pulls the last layer alike; their weights are unread",
    )
