"""Models that are trained beside the student of a train step, on the same batches."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.core.seeds import derived_seed
from limbeck.core.training import Rate
from limbeck.recipes.students import Student
from limbeck.recipes.teachers import ModelTeacher
from limbeck.recipes.teaching import taught_problems
from limbeck.recipes.terms import Term

if TYPE_CHECKING:
    from limbeck.recipes.steps.train import Train

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class Turn(Config):
    """In which optimizer steps a party learns."""

    every: int = Field(default=1, ge=1, description="learns in the first step, and in every n-th after it")


class TrainedParty(Config):
    """A second trained model: a critic, a peer, adapters on a frozen teacher.

    It has the student's tokenizer and kind, reads the student's batches and is saved in `parties/NAME` of the
    step's folder. What is not here (batch size, length, schedule, precision) is as the step has it.
    """

    model: Student
    objective: tuple[Term, ...] = Field(min_length=1)
    teacher: Literal["teacher", "student"] = Field(
        default="teacher", description="whom its terms read as their teacher: the step's, or the student"
    )
    turn: Turn = Turn()
    learning_rate: Rate = Field(default="auto", description="peak learning rate, or auto, as of the student")
    max_grad_norm: float = Field(default=1.0, ge=0, description="0 switches clipping off")
    lora_r: int = Field(default=0, ge=0, description="rank of LoRA adapters; 0: all weights are trained")
    lora_alpha: int = Field(default=16, ge=1, description="LoRA scales its update by alpha / r")

    def step(self, name: str, beside: "Train") -> "Train":
        """The train step that would train it as the student."""
        fields = ("objective", "learning_rate", "max_grad_norm", "lora_r", "lora_alpha")
        taught = beside.teacher if self.teacher == "teacher" else ModelTeacher(model=beside.student.origin)
        changed = {field: getattr(self, field) for field in fields} | {
            "out": f"{beside.out}.{name}",
            "student": self.model,
            "teacher": taught,
            "seed": derived_seed(beside.seed, "party", name),
            "balance": None,
            "parties": {},
        }
        return beside.model_copy(update=changed)

    def problems(self, name: str, beside: "Train") -> Iterator[Problem]:
        """What does not go with it in a step."""
        if not _NAME.fullmatch(name) or name == "student":
            yield Problem(
                "", f"must be called by letters, digits, _ and -, and not student, got {name!r}. Rename it."
            )
        if beside.reads_other_tokens:
            yield Problem("", "needs a teacher with the student's tokenizer: leave it out.")
        if self.model.reads_rows or self.model.tokenizer is not None:
            yield Problem(
                "model", "must be taken as it is, cut or fresh, with its own tokenizer. Build another before."
            )
        step = self.step(name, beside)
        for problem in (*taught_problems(step), *step.inner_problems()):
            if problem.where.startswith(("objective.", "learning_rate")):
                yield problem
