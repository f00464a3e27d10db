"""A form of teacher for tests: it writes what a script says, and knows no tokens. Three lists name it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from datasets import Dataset
from pydantic import Field

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, Usage
from limbeck.core.errors import ConfigError, Problem
from limbeck.endpoint import Answer as Reached
from limbeck.endpoint import Endpoint, Timeouts
from limbeck.recipes.steps import Generate
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.teachers.capabilities import TEXT
from limbeck.runs.assembly.teachers import ASKED_TEACHERS, WRITING_TEACHERS
from limbeck.runs.assembly.teachers.writing import Answer, Prompt
from limbeck.runs.checking.planned import PlannedStep
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look, Survey


class ScriptedTeacher(Teacher):
    """What a file says to each prompt: one JSON object, prompt -> answer."""

    form: ClassVar[str] = "script"
    example: ClassVar[str] = "{script: FILE}"

    script: str = Field(description="a JSON file")

    @property
    def said(self) -> str:
        """What it is, in messages."""
        return f"the script {self.script}"

    @property
    def called(self) -> str:
        """Where it lies."""
        return self.script

    def gives(self) -> frozenset[str]:
        """Text."""
        return frozenset({TEXT})


class ScriptedWriting:
    """How a script writes."""

    def look(self, at: Look, step: Generate) -> None:
        """It must be there."""
        if not Path(step.teacher.called).exists():
            raise ConfigError(Problem("teacher.script", f"must be a file, got {step.teacher.called}."))

    def plan(self, step: Generate, seen: Survey, rates: Rates, planned: PlannedStep) -> PlannedStep:
        """Reading a file takes no time."""
        return replace(planned, seconds=0.0)

    def open_writer(self, step: Generate, work: StepContext, rows: Dataset) -> "ScriptedWriter":
        """With the lines of the file."""
        return ScriptedWriter(json.loads(Path(step.teacher.called).read_text(encoding="utf-8")), rows)


class ScriptedAsking:
    """How a script is asked one request at a time: through the request engine, as every teacher is."""

    def check_asked(self, at: Look, teacher: ScriptedTeacher, path: str) -> None:
        """It must be there."""
        if not Path(teacher.script).exists():
            raise ConfigError(Problem(f"{path}.script", f"must be a file, got {teacher.script}."))

    def endpoint_of(self, teacher: ScriptedTeacher, work: StepContext) -> Endpoint:
        """Another script is another teacher."""
        label = Path(teacher.script).read_text(encoding="utf-8")
        return Endpoint(url="http://localhost/script", model="script", label=label)

    def transport_of(self, teacher: ScriptedTeacher, work: StepContext) -> "ScriptedTransport":
        """With the lines of the file."""
        return ScriptedTransport(json.loads(Path(teacher.script).read_text(encoding="utf-8")))

    def request_of(self, teacher: ScriptedTeacher, request: Request) -> Request:
        """As it is."""
        return request

    def counter_of(self, teacher: ScriptedTeacher) -> None:
        """Nothing is limited."""

    def check_requests(
        self, at: Look, teacher: ScriptedTeacher, requests: Sequence[Request], path: str
    ) -> None:
        """It can do all of it."""

    def said_of_cost(
        self, at: Look, teacher: ScriptedTeacher, requests: Sequence[Request], calls: int
    ) -> list[str]:
        """It costs nothing."""
        return [f"{calls} look-ups."]


class ScriptedTransport:
    """Looks the last turn up."""

    def __init__(self, lines: dict[str, str]) -> None:
        self._lines = lines

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Reached:
        """A line, or the failure of this request alone."""
        asked = str(request.messages[-1]["content"])
        if asked not in self._lines:
            raise RequestFailed(Failure(FailureClass.PERMANENT, "unknown", f"no line for {asked}"))
        return Reached(Reply(self._lines[asked], usage=Usage(prompt=1, completion=1)))

    async def aclose(self) -> None:
        """Nothing is open."""


class ScriptedWriter:
    """Looks prompts up."""

    per_part = 4

    def __init__(self, lines: dict[str, str], rows: Dataset) -> None:
        self._lines, self._rows = lines, rows

    def prompts(self) -> list[Prompt]:
        """The prompts as the data has them."""
        pairs = zip(self._rows["id"], self._rows["prompt"], strict=True)
        return [Prompt(row_id, place, prompt) for place, (row_id, prompt) in enumerate(pairs)]

    def write(
        self, prompts: Sequence[Prompt], *, seed: int, progress: Callable[[float], None]
    ) -> list[Answer]:
        """Nothing, where the script does not know a prompt."""
        texts = [self._lines.get(prompt.content, "") for prompt in prompts]
        progress(1.0)
        return [Answer(text, len(text.split()), stopped=True) for text in texts]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The form is known in this test."""
    monkeypatch.setitem(Teacher.forms, ScriptedTeacher.form, ScriptedTeacher)
    monkeypatch.setitem(WRITING_TEACHERS, ScriptedTeacher, ScriptedWriting())
    monkeypatch.setitem(ASKED_TEACHERS, ScriptedTeacher, ScriptedAsking())
