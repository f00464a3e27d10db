"""`train`: a student learns from rows and teachers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.core.kinds import KindChoice
from limbeck.core.signals import ANSWERED
from limbeck.core.training import AUTO, Rate, TrainingSettings
from limbeck.recipes.alignment import Alignment, alignment_problems
from limbeck.recipes.batches import BatchTransform, Domains, NamedTransform, Rollouts, Selection
from limbeck.recipes.kind_settings import KindSettings
from limbeck.recipes.parties import TrainedParty
from limbeck.recipes.references import Names
from limbeck.recipes.sentences import origin_said, part_said, terms_said, writers_said
from limbeck.recipes.steps.capture import Capture
from limbeck.recipes.steps.step import Makes, Step
from limbeck.recipes.students import Student
from limbeck.recipes.teachers import StoredTeacher, Teacher
from limbeck.recipes.teaching import taught_problems
from limbeck.recipes.terms import Term
from limbeck.recipes.validation import Validation, validation_problems

GROUPS = {"default": (), "two_task": ("label", "rationale"), "preference": ("chosen", "rejected")}
"""Groups that terms can learn `on`, by `task`."""


class Train(Step, KindSettings, TrainingSettings):
    """Train a student on rows against a sum of objectives."""

    kind: ClassVar[str] = "train"
    makes: ClassVar[Makes] = "model"
    settings: ClassVar[tuple[str, ...]] = (
        *TrainingSettings.model_fields,
        "model_kind",
        "loss_on",
        *KindSettings.model_fields,
    )
    student: Student
    teacher: Teacher | None = None
    rows: Annotated[str, Names("rows")]
    objective: tuple[Term, ...] = Field(min_length=1)
    # The engine is given a number.
    learning_rate: Rate = Field(  # type: ignore[assignment]
        default="auto", description="peak learning rate of AdamW; auto: by the student's size"
    )
    model_kind: KindChoice = Field(
        default="auto", description="what the models are read as; auto: by the student's configuration"
    )
    task: Literal["default", "two_task", "preference"] = Field(
        default="default",
        description="two_task: predict the label, explain the rationale; preference: chosen and rejected",
    )
    loss_on: Literal["last_assistant", "all_assistant", "all"] = Field(
        default="all_assistant", description="turns of a conversation that are in the loss"
    )
    rollouts: Rollouts | None = Field(default=None, description="sequences written while training")
    corpus: Annotated[str | None, Names("rows")] = Field(
        default=None, description="rows each step also learns from, group corpus"
    )
    validation: Validation | None = Field(default=None, description="what is measured while training")
    selection: Selection | None = Field(default=None, description="who answers which row")
    domains: Domains | None = Field(default=None, description="rows drawn by domain; needs validation")
    alignment: Alignment | None = Field(default=None, description="of a teacher with another tokenizer")
    batches: tuple[NamedTransform, ...] = Field(
        default=(), description="what else happens to the batches, in this order"
    )
    parties: dict[str, TrainedParty] = Field(
        default_factory=dict, description="name: model that is trained beside the student"
    )
    balance: Literal["gradient_magnitude"] | None = Field(
        default=None,
        description="weighs terms so that each pulls the last layer alike; their weights are unread",
    )

    @property
    def groups(self) -> tuple[str, ...]:
        """Words that `on` may say."""
        made = [one.groups for one in self.transforms.values() if one.groups]
        if made:
            return made[-1]
        return ANSWERED if self.reads_other_tokens else GROUPS[self.task]

    @property
    def transforms(self) -> dict[str, BatchTransform]:
        """What happens to the batches, in order, by the paths of its settings."""
        fields = {"domains": self.domains, "rollouts": self.rollouts, "selection": self.selection}
        found = {path: one for path, one in fields.items() if one is not None}
        named = {f"batches.{place}.{one.name}": one.settings for place, one in enumerate(self.batches)}
        return found | named

    @property
    def reads_other_tokens(self) -> bool:
        """Whether the teacher reads the rows in tokens of its own."""
        return self.alignment is not None or any(term.reads_foreign for term in self.objective)

    @property
    def reads_teacher(self) -> tuple[str, ...]:
        """Names of the objectives that read the teacher."""
        return tuple(term.name for term in self.objective if term.of_teacher)

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher is needed though no objective reads it."""
        compares = self.validation is not None and self.validation.perplexities_by is not None
        return compares or any(one.needs_teacher(self) for one in self.transforms.values())

    @property
    def origin(self) -> str:
        """The model that the student is, or is made from."""
        return self.student.origin

    @property
    def description(self) -> str:
        """The student, in words."""
        objective = " + ".join(term.name + (f" on {term.on}" if term.on else "") for term in self.objective)
        adapters = f", as LoRA of rank {self.lora_r}" if self.lora_r else ""
        return f"from {origin_said(self.student)}, trained with {objective} on {self.rows}{adapters}"

    def told_apart(self, captured: Mapping[str, Teacher]) -> "Train":
        """A word for a store is that store."""
        if self.teacher is None:
            return self
        stores = {word: StoredTeacher(signals=word) for word in captured}
        return self.model_copy(update={"teacher": self.teacher.with_others(stores)})

    def sentence(self) -> str:
        """What it did, for the report."""
        taught = f" against {part_said(self.teacher)}" if self.teacher is not None else " without a teacher"
        return (
            f"Trained `{self.out}`, starting from {part_said(self.student)},{taught} on `{self.rows}` with "
            f"{terms_said(self.objective)}{writers_said(self.rollouts)}"
        )

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """What does not go together in it, and with the steps before it."""
        if self.student.reads_rows:
            yield Problem(
                "student",
                f"must be made without rows in a train step, got {self.student.form}: {self.student.origin}. "
                "Make it in a step `build` before it, and name that step's out here.",
            )
        for word in self.teacher.stores.values() if self.teacher is not None else ():
            captured = Capture.that_made(word, earlier)
            if captured is not None and captured.rows != self.rows:
                yield Problem(
                    "rows",
                    f"must be the rows of the store '{word}', {captured.rows}, got {self.rows}. Capture "
                    "these rows.",
                )
        yield from taught_problems(self)
        yield from self.inner_problems()

    def inner_problems(self) -> Iterator[Problem]:
        """What of its fields does not go together, whoever teaches."""
        if self.learning_rate == AUTO and self.task == "preference":
            yield Problem(
                "learning_rate",
                "must be a number with task: preference, got auto; rates that suit other trainings undo a "
                "student here. Start from 1e-6.",
            )
        for place, term in enumerate(self.objective):
            yield from (one.below(f"objective.{place}") for one in term.problems(self))
        for where, transform in self.transforms.items():
            yield from transform.problems(self, where)
        if self.reads_other_tokens:
            yield from alignment_problems(self)
        yield from self._order_problems()
        if self.corpus is not None and self.rollouts is None:
            yield Problem("corpus", "goes with rollouts: without, load the rows together.")
        if self.balance is not None:
            yield from self._balance_problems()
        for name, party in self.parties.items():
            yield from (one.below(f"parties.{name}") for one in party.problems(name, self))
        yield from validation_problems(self)

    def _order_problems(self) -> Iterator[Problem]:
        if self.order != "shuffled" and self.domains is not None:
            yield Problem(
                "order", f"must be shuffled with domains, which draws rows itself, got {self.order}."
            )
        if self.order != "competence":
            for name in ("competence_start", "competence_shape"):
                if getattr(self, name) != type(self).model_fields[name].default:
                    yield Problem(name, f"is read with order: competence, got {self.order}. Leave it out.")

    def _balance_problems(self) -> Iterator[Problem]:
        if len(self.objective) < 2:
            yield Problem("balance", f"needs two terms or more, got {self.objective[0].name} alone.")
        for place, term in enumerate(self.objective):
            if isinstance(term.weight, dict):
                yield Problem(
                    f"objective.{place}.weight",
                    f"must be no schedule with balance: {self.balance}, which reads none. Leave one out.",
                )
