"""`elicit`: rows that an operator makes by asking a teacher, and gates let through."""

from collections.abc import Iterator, Mapping, Sequence
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.gates import judging
from limbeck.recipes.calls import GateCall, OperatorCall
from limbeck.recipes.failures import MOST_FAILED, Failures
from limbeck.recipes.references import Names, Reference
from limbeck.recipes.sentences import part_said
from limbeck.recipes.steps.step import Makes, Step
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.teachers.capabilities import TEXT, Ask
from limbeck.recipes.teaching import unanswered

ROW, POOL, ASK = "row", "rows", "ask"
"""What the first argument of an operator is: one row, or all of them; and the name of its teacher."""

JUDGE = "judge"
"""The teacher that gates ask; without one of this name, that of the step."""


class Elicit(Step):
    """Let an operator make rows by asking a teacher: answers, rationales, questions, preferences ...

    Rows that its gates refuse are read as `<out>.rejected`. `yield.json` in the step's folder counts
    candidates, reasons for each gate, calls, tokens and cost; `failures.jsonl` lists draws without an answer.
    """

    kind: ClassVar[str] = "elicit"
    makes: ClassVar[Makes] = "rows"
    apart: ClassVar[tuple[str, ...]] = ("rejected",)
    without_effect: ClassVar[frozenset[str]] = frozenset({"failures"})
    teacher: Teacher
    teachers: dict[str, Teacher] = Field(
        default_factory=dict,
        description="others that the operator asks, by the names of its arguments; gates ask `judge`",
    )
    operator: OperatorCall = Field(description="what is asked and made of the answers, with its settings")
    rows: Annotated[str | None, Names("rows", heldout=True)] = Field(
        default=None, description="that it starts from; none: from nothing"
    )
    samples: int | None = Field(
        default=None, ge=1, description="draws of each row; none: as many as the operator makes by itself"
    )
    attempts: int | None = Field(
        default=None,
        ge=1,
        description="draws of a row at most, until `samples` of them (one, if none) pass the gates",
    )
    gates: tuple[GateCall, ...] = Field(
        default=(), description="that judge the rows as they come; those they refuse are kept apart"
    )
    accept: int | None = Field(default=None, ge=1, description="exactly so many rows that pass, then stop")
    fewest: int = Field(
        default=1,
        ge=0,
        description="rows that must pass without accept, or the step stops; 0 where it is a measurement",
    )
    candidates: int | None = Field(
        default=None, ge=1, description="rows that are made for `accept` at most, going through `rows` again"
    )
    failures: Failures = Field(
        default=MOST_FAILED,
        ge=0,
        le=1,
        description="share of draws without an answer that stops the step; skip: none does, stop: the first",
    )
    limit: int | None = Field(default=None, ge=1, description="at most this many rows, chosen at random")
    seed: int = Field(default=0, ge=0, description="of the draws, and of the operator if it has one")

    @property
    def asked(self) -> Mapping[str, Teacher]:
        """All teachers by the names of arguments."""
        return {ASK: self.teacher, **self.teachers}

    @property
    def pools(self) -> bool:
        """Whether the operator reads all rows together."""
        return self.operator.entry.positional[:1] == (POOL,)

    @property
    def settings_of_operator(self) -> dict[str, Any]:
        """The operator's own settings; it gets samples and seed of the step where it has such words."""
        own: dict[str, Any] = {"seed": self.seed}
        if self.samples is not None and self.attempts is None:
            own["samples"] = self.samples
        known = self.operator.entry.keywords
        return {name: value for name, value in own.items() if name in known} | self.operator.options

    @property
    def draws(self) -> int:
        """How often the operator is called for a row, if all goes well."""
        is_its_own = "samples" in self.operator.entry.keywords and self.attempts is None
        return 1 if is_its_own else self.samples or 1

    @property
    def asked_by_operator(self) -> tuple[str, ...]:
        """Names of teachers that the operator is handed; those it can do without only if they are named."""
        return tuple(name for name in self.operator.entry.positional[1:] if name in self.asked)

    @property
    def called(self) -> list[judging.Gate]:
        """The gates as they are called."""
        return [judging.Gate(one.name, one.options) for one in self.gates]

    @property
    def asking_gates(self) -> list[str]:
        """Names of the gates that ask a teacher."""
        return [gate.name for gate in self.called if ASK in gate.uses]

    def reads(self) -> list[Reference]:
        """Rows, models, and files that settings of the operator and the gates name, such as prompts."""
        calls = {"operator": self.operator} | {f"gates.{n}": one for n, one in enumerate(self.gates)}
        files = [
            Reference(f"{path}.{name}", value, Names("data"))
            for path, one in calls.items()
            for name, value in one.options.items()
            if isinstance(value, str) and Path(value).expanduser().is_file()
        ]
        return [*super().reads(), *files]

    def sentence(self) -> str:
        """What it did, for the report."""
        of = f" from `{self.rows}`" if self.rows else ""
        gated = f", gated by {', '.join(one.name for one in self.gates)}" if self.gates else ""
        return f"Let {part_said(self.teacher)} make rows{of} by the operator {self.operator.name}{gated}"

    def problems(self, earlier: Sequence[Step]) -> Iterator[Problem]:
        """Teachers must write; what goes together."""
        for name, teacher in self.asked.items():
            path = "teacher" if name == ASK else f"teachers.{name}"
            yield from unanswered(teacher, [Ask(path, TEXT, "lets its teacher write")])
            for problem in teacher.training_only():
                yield Problem(path + problem.where.removeprefix("teacher"), problem.message)
        yield from self._journal_problems()
        yield from self._argument_problems()
        yield from self._amount_problems()

    def _journal_problems(self) -> Iterator[Problem]:
        """One file for the answers of two teachers."""
        owners: dict[str, Teacher] = {}
        for name, teacher in self.asked.items():
            journal = getattr(teacher, "journal", None)
            owner = owners.setdefault(journal, teacher) if journal else teacher
            if (owner.called, getattr(owner, "label", "")) != (teacher.called, getattr(teacher, "label", "")):
                message = f"must be a file of its own for each teacher, got {journal} for two. Name another."
                yield Problem(f"teachers.{name}.journal", message)

    def _argument_problems(self) -> Iterator[Problem]:
        """Teachers that functions ask and the step does not name, or the other way round."""
        asked = self.operator.entry.positional[1:]
        parameters = signature(self.operator.entry.load()).parameters
        for name in asked:
            if name not in self.asked and parameters[name].default is Parameter.empty:
                yield Problem(
                    f"teachers.{name}",
                    f"must be a teacher, got none; the operator {self.operator.name} asks it.",
                )
        judges = bool(self.asking_gates)
        for name in self.teachers:
            if name not in asked and not (name == JUDGE and judges):
                known = ", ".join([*asked, *([JUDGE] if judges else [])])
                yield Problem(f"teachers.{name}", f"is asked by nobody, got it beside {known}. Take it out.")
        for place, gate in enumerate(self.called):
            others = sorted({*gate.needs} - {ASK})
            if gate.reads == judging.EVERYTHING:
                others.append("all rows at once")
            if others:
                yield Problem(
                    f"gates.{place}",
                    f"must be a gate of rows alone, got {gate.name}, which needs {' and '.join(others)}. "
                    "Judge with it in a step `gate` behind this one.",
                )

    def _amount_problems(self) -> Iterator[Problem]:
        if self.attempts is not None and self.attempts < (self.samples or 1):
            yield Problem("attempts", f"must be at least samples ({self.samples}), got {self.attempts}.")
        if self.attempts is not None and self.operator.options.get("sampling_temperature") == 0:
            yield Problem("attempts", "must be none at sampling_temperature 0: every draw would be the same.")
        if self.attempts is not None and not self.gates:
            yield Problem("attempts", "must go with gates, got none: every draw passes.")
        if self.candidates is not None and (self.accept is None or self.candidates < self.accept):
            allowed = "go with accept" if self.accept is None else f"be at least accept ({self.accept})"
            yield Problem("candidates", f"must {allowed}, got {self.candidates}.")
        if self.pools:
            for name in ("attempts", "candidates"):
                if getattr(self, name) is not None:
                    yield Problem(
                        name,
                        f"must be none with {self.operator.name}, an operator that makes all rows together.",
                    )
        elif self.rows is None and self.limit is None and self.candidates is None:
            yield Problem(
                "rows",
                f"must name rows, or how many to make from nothing, got neither. Set limit, or accept and "
                f"candidates, for the operator {self.operator.name}.",
            )
