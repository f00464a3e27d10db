"""`gate`: rows judged by gates; those that pass, and the others kept apart with the reason."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.core.lookup import did_you_mean
from limbeck.gates import judging
from limbeck.recipes.calls import GateCall
from limbeck.recipes.named_models import Word
from limbeck.recipes.references import Names
from limbeck.recipes.steps.step import Makes, Step
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.teachers.capabilities import TEXT, Ask
from limbeck.recipes.teaching import unanswered

COLUMNS = ("column", "gold", "relative_to", "tests", "setup", "premise", "hypothesis", "columns")
"""Settings of gates that name columns of the rows."""

REJECTED = "rejected"

_NEEDS: Mapping[str, str] = {
    "against": "against: [ROWS]",
    "classifier": "classifier: MODEL, a classifier of pairs of texts",
    "scorer": "scorer: MODEL, a causal model",
    "ask": "judge: TEACHER, which scores answers",
}
"""What gates ask for beside rows, and how the step gives it."""

_FIELDS: Mapping[str, str] = {"ask": "judge"}
"""Needs that have another name as a field."""


class Gate(Step):
    """Let gates judge rows; those that pass go on, the others are kept apart with the reason.

    Every row keeps what each gate said of it in the column `verdicts`; nothing else is changed. Refused
    rows are read as `<out>.rejected`. `yield.json` in the step's folder counts reasons for each gate.
    """

    kind: ClassVar[str] = "gate"
    makes: ClassVar[Makes] = "rows"
    apart: ClassVar[tuple[str, ...]] = (REJECTED,)
    rows: Annotated[str, Names("rows", heldout=True)]
    gates: tuple[GateCall, ...] = Field(
        description="in the order in which they judge: cheap ones first, those that remember rows last"
    )
    keep: Literal["all", "any"] = Field(
        default="all",
        description="rows that all gates let through (refused ones are shown to no further gate), or any",
    )
    against: tuple[Annotated[str, Names("rows", heldout=True)], ...] = Field(
        default=(), description="rows of evaluation sets, or seeds, that gates compare with"
    )
    classifier: Annotated[Word | None, Names("model")] = Field(
        default=None, description="of pairs of texts, for entailment"
    )
    scorer: Annotated[Word | None, Names("model")] = Field(
        default=None, description="causal model, for perplexity"
    )
    judge: Teacher | None = Field(default=None, description="teacher that gates ask")
    max_length: int = Field(default=512, ge=2, description="tokens that classifier and scorer read")
    batch_size: int = Field(default=32, ge=1, description="rows that they read at once")

    @property
    def taken_from(self) -> str | None:
        """All of them are among its `rows`."""
        return self.rows

    @property
    def called(self) -> list[judging.Gate]:
        """The gates as they are called."""
        return [judging.Gate(one.name, one.options) for one in self.gates]

    def sentence(self) -> str:
        """What it did, for the report."""
        return f"Let {', '.join(one.name for one in self.gates)} judge `{self.rows}`: `{self.out}`"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """Gates that lack something, and what no gate reads."""
        if not self.gates:
            yield Problem("gates", "must name at least one gate, got none. limbeck list gates shows them.")
        used = {name for gate in self.called for name in gate.uses}
        for place, gate in enumerate(self.called):
            yield from (Problem(f"gates.{place}", said) for said in self._lacks(gate))
        for name in _NEEDS:
            field = _FIELDS.get(name, name)
            if getattr(self, field) and name not in used:
                yield Problem(field, "is read by none of the gates. Leave it out, or add one that reads it.")
        if self.judge is not None:
            yield from unanswered(self.judge, [Ask("judge", TEXT, "lets its judge write")])
            for problem in self.judge.training_only():
                yield Problem("judge" + problem.where.removeprefix("teacher"), problem.message)

    def _lacks(self, gate: judging.Gate) -> Iterator[str]:
        for name in gate.needs:
            if not getattr(self, _FIELDS.get(name, name)):
                yield f"{gate.name} must be given {name}, got none. Say {_NEEDS[name]}."

    def column_problems(self, columns: Sequence[str]) -> Iterator[Problem]:
        """Settings that name a column which the rows do not have."""
        for place, gate in enumerate(self.gates):
            for name in COLUMNS:
                value = gate.options.get(name)
                for one in value if isinstance(value, list) else [value]:
                    if one is not None and one not in columns:
                        yield Problem(
                            f"gates.{place}.{name}",
                            f"must be a column of {self.rows}, got '{one}'.{did_you_mean(str(one), columns)}",
                        )
