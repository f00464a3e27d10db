"""`generate`: completions that a teacher writes."""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.recipes.failures import MOST_FAILED, Failures
from limbeck.recipes.references import Names
from limbeck.recipes.sentences import part_said
from limbeck.recipes.steps.step import Makes, Step
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.teachers.capabilities import TEXT
from limbeck.recipes.teaching import asked_problems


class Generate(Step):
    """Let a teacher write completions for the prompts of rows (sequence-level distillation)."""

    kind: ClassVar[str] = "generate"
    makes: ClassVar[Makes] = "rows"
    without_effect: ClassVar[frozenset[str]] = frozenset({"failures"})
    teacher: Teacher
    rows: Annotated[str, Names("rows", heldout=True)]
    max_new_tokens: int = Field(default=256, ge=1)
    prompt_tokens: int = Field(
        default=16, ge=1, description="of plain text: what each window of it begins with"
    )
    sampling_temperature: float = Field(default=1.0, ge=0, description="0: greedy")
    top_p: float = Field(default=1.0, gt=0, le=1)
    samples: int = Field(default=1, ge=1, description="completions of each prompt")
    thoughts: bool = Field(
        default=True,
        description="thoughts that a server tells apart stand in the turn of the answer, where chat "
        "templates write them and they are learnt; false: in the column `reasoning` alone",
    )
    limit: int | None = Field(default=None, ge=1, description="at most this many prompts, chosen at random")
    failures: Failures = Field(
        default=MOST_FAILED,
        ge=0,
        le=1,
        description="share of prompts without an answer that stops it; skip: none does, stop: the first",
    )
    seed: int = Field(default=0, ge=0)

    def sentence(self) -> str:
        """What it did, for the report."""
        return f"Let {part_said(self.teacher)} generate completions for `{self.rows}`"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """The teacher must be one model."""
        yield from asked_problems(self.teacher, TEXT, "lets its teacher write")
