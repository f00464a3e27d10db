"""`capture`: what a teacher says of rows, kept in a store."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from limbeck.core.errors import Problem
from limbeck.core.kinds import KindChoice
from limbeck.recipes.references import Names
from limbeck.recipes.sentences import part_said
from limbeck.recipes.steps.step import READ_BY, Makes, Step
from limbeck.recipes.teachers import EndpointTeacher, Teacher
from limbeck.recipes.teachers.capabilities import CAPTURED, listed
from limbeck.recipes.teaching import asked_problems
from limbeck.signals.payload import Payload, TopKPayload


class Capture(Step):
    """Ask a teacher about rows once and keep what it says; `teacher: <out>` then trains from the store."""

    kind: ClassVar[str] = "capture"
    makes: ClassVar[Makes] = "store"
    settings: ClassVar[tuple[str, ...]] = READ_BY
    teacher: Teacher
    rows: Annotated[str, Names("rows")]
    payload: Payload = Field(default=Payload(topk=TopKPayload()), validate_default=True)
    local: Annotated[str | None, Names("model")] = Field(
        default=None,
        description="a copy of the model that an endpoint serves, folder or id: how far the server is from "
        "it is measured first, on a few rows",
    )
    within: float = Field(
        default=0.1, gt=0, allow_inf_nan=False, description="nats a position by which it may be, on average"
    )
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

    @field_validator("payload")
    @classmethod
    def _without_draws_at_an_endpoint(cls, payload: Payload, info: ValidationInfo) -> Payload:
        """Servers tell the likeliest ids and draw none: the tail is one bucket."""
        if payload.topk is None or not isinstance(info.data.get("teacher"), EndpointTeacher):
            return payload
        if payload.topk.draws and "draws" in payload.topk.model_fields_set:
            raise ValueError(
                f"draws must be 0 with a teacher at an endpoint, which draws none, got {payload.topk.draws}. "
                "Leave it out."
            )
        return payload.model_copy(update={"topk": payload.topk.model_copy(update={"draws": 0})})

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """The teacher must be one model, whose tokens are known, and asked what it can say."""
        if not isinstance(self.teacher, EndpointTeacher):
            yield from asked_problems(self.teacher, CAPTURED, "keeps what one model says")
            if self.local is not None:
                yield Problem("local", "must be left out of a capture whose teacher is a model itself.")
            return
        yield from self._served_problems(self.teacher)

    def _served_problems(self, teacher: EndpointTeacher) -> Iterator[Problem]:
        if CAPTURED not in teacher.gives():
            yield Problem(
                "teacher",
                f"keeps scores of tokens, and {teacher.said} gives {listed(teacher.gives())}: its tokens are "
                "not known. Add tokenizer: DIR_OR_ID, that of the served model.",
            )
        if teacher.api == "anthropic" or teacher.batch:
            got = "api: anthropic" if teacher.api == "anthropic" else "batch: true"
            yield Problem("teacher", f"must be asked by completions to score rows, got {got}. Leave it out.")
        if self.payload.hidden is not None:
            yield Problem(
                "payload",
                "must be topk with a teacher at an endpoint, got hidden: servers give no states. Write "
                "{topk: {mass: 0.999, max: 64}}.",
            )
        if self.model_kind not in ("auto", "causal"):
            yield Problem("model_kind", f"must be causal at an endpoint, got {self.model_kind}.")
        if self.bf16:
            yield Problem("bf16", "must be false at an endpoint, got true: the server chooses its dtype.")
