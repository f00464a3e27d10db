"""`capture`: what a teacher says of rows, kept in a store."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.core.kinds import KindChoice
from limbeck.recipes.references import Names
from limbeck.recipes.sentences import part_said
from limbeck.recipes.steps.step import READ_BY, Makes, Step
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.teachers.capabilities import CAPTURED
from limbeck.recipes.teaching import asked_problems
from limbeck.signals.payload import Payload, TopKPayload


class Capture(Step):
    """Ask a teacher about rows once and keep what it says; `teacher: <out>` then trains from the store."""

    kind: ClassVar[str] = "capture"
    makes: ClassVar[Makes] = "store"
    settings: ClassVar[tuple[str, ...]] = READ_BY
    teacher: Teacher
    rows: Annotated[str, Names("rows")]
    payload: Payload = Payload(topk=TopKPayload())
    folder: str | None = Field(default=None, description="of the store; none: in the run folder")
    model_kind: KindChoice = "auto"
    task: Literal["default", "two_task", "preference"] = "default"
    loss_on: Literal["last_assistant", "all_assistant", "all"] = "all_assistant"
    max_length: int = Field(default=1024, ge=2)
    max_target_length: int = Field(default=256, ge=1)
    batch_tokens: int = Field(default=8192, ge=1, description="that the teacher reads at once, at most")
    shard_tokens: int = Field(default=65536, ge=1, description="of one file of the store; lost by a kill")
    bf16: bool = False

    def sentence(self) -> str:
        """What it did, for the report."""
        return f"Kept what {part_said(self.teacher)} says of `{self.rows}` as `{self.out}`"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """The teacher must be one model."""
        yield from asked_problems(self.teacher, CAPTURED, "keeps what one model says")
