"""A teacher behind a wire that writes completions of rows, for `generate` steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from datasets import Dataset

from limbeck.core.asking import Reply, Request
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lineage import Row
from limbeck.core.prompting.own import own_turns
from limbeck.core.template import functions_of
from limbeck.endpoint import Mapped
from limbeck.recipes.steps import Generate
from limbeck.recipes.teachers import EndpointTeacher
from limbeck.rows.kinds import Kind, kind_of
from limbeck.runs.assembly.asking import finished, open_asks
from limbeck.runs.assembly.teachers import endpoint
from limbeck.runs.assembly.teachers.writing import Answer, Missing, Prompt
from limbeck.runs.checking.planned import PlannedStep
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look, Survey

_TRIED = 64  # rows of which the plan makes requests
_PER_PART = (
    4096  # the journal has each answer at once: this bounds memory, and how often the slowest is waited for
)
_PER_BATCH = 20_000  # as many as an engine lets wait for batches
_TEACHER = "teacher"


def look(at: Look, step: Generate) -> None:
    """Refuse what cannot be reached, and rows that ask nothing; say what it will cost."""
    teacher = cast(EndpointTeacher, step.teacher)
    endpoint.check_asked(at, teacher, _TEACHER)
    if step.samples > 1 and not step.sampling_temperature:
        message = f"must be 1 at sampling_temperature 0, got {step.samples}: all would be equal."
        raise ConfigError(Problem("samples", message))
    rows = at.rows.get(step.rows)
    if rows is None:
        return
    if kind_of(rows.column_names) is Kind.TEXT:
        message = (
            f"must have prompts for an endpoint, got {step.rows}, which are texts. Load rows with prompts, "
            "or let a step `elicit` make some of these texts."
        )
        raise ConfigError(Problem("rows", message))
    first = [request_of(step, rows[place]) for place in range(min(len(rows), _TRIED))]
    asked = [endpoint.request_of(teacher, one) for one in first]
    endpoint.check_requests(at, teacher, asked, _TEACHER)
    calls = min(len(rows), step.limit or len(rows)) * step.samples
    at.note(*endpoint.said_of_cost(at, teacher, asked, calls))


def plan(step: Generate, seen: Survey, rates: Rates, planned: PlannedStep) -> PlannedStep:
    """It takes no memory here; how long a server takes is not known."""
    return replace(planned, seconds=None)


def open_writer(step: Generate, work: StepContext, rows: Dataset) -> "EndpointWriter":
    """The engine is opened for each part."""
    batch = cast(EndpointTeacher, step.teacher).batch
    return EndpointWriter(step, work, rows, per_part=_PER_BATCH if batch else _PER_PART)


def request_of(step: Generate, row: Row, sample: int = 0) -> Request:
    """What a row asks, drawn as the step says.

    Raises:
        RowError: it asks nothing.
    """
    return Request(
        messages=own_turns(row),
        tools=tuple(functions_of(row.get("tools"))),
        max_tokens=step.max_new_tokens,
        temperature=step.sampling_temperature,
        top_p=step.top_p,
        seed=step.seed,
        sample=sample,
    )


@dataclass(frozen=True)
class EndpointWriter:
    """A server that answers the prompts of a step's rows.

    Attributes:
        step: that it writes for.
        work: where its answers are kept.
        rows: whose prompts it answers.
    """

    step: Generate
    work: StepContext
    rows: Dataset
    per_part: int = _PER_PART

    def prompts(self) -> list[Prompt]:
        """Every row, whose turns are read when they are asked."""
        return [Prompt(row_id, place, None) for place, row_id in enumerate(self.rows["id"])]

    def write(
        self, prompts: Sequence[Prompt], *, seed: int, progress: Callable[[float], None]
    ) -> list[Answer | Missing]:
        """Its answers; each row draws with the step's own seed and its number, wherever it stands."""
        return finished(self._written(prompts, progress))

    async def _written(
        self, prompts: Sequence[Prompt], progress: Callable[[float], None]
    ) -> list[Answer | Missing]:
        found: list[Answer | Missing] = []
        async with open_asks({_TEACHER: self.step.teacher}, self.work) as asked:
            ask = asked[_TEACHER]

            async def answer(prompt: Prompt) -> Reply:
                return await ask(request_of(self.step, self.rows[prompt.place], prompt.sample))

            async for one in ask.engine.map(prompts, answer):
                found.append(_told(one))
                progress(len(found) / len(prompts))
        return found


def _told(one: Mapped[Prompt, Reply]) -> Answer | Missing:
    if one.value is None:
        assert one.failure is not None, "one of both is there"
        return Missing(one.failure.reason, one.failure.message, one.failure.key)
    reply = one.value
    calls = tuple(reply.turn().get("tool_calls", ()))
    return Answer(
        reply.text, reply.usage.completion, reply.stopped, reasoning=reply.reasoning, tool_calls=calls
    )
