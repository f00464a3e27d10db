"""A model as a teacher that writes: prompts as its tokenizer makes them, answers a batch at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from datasets import Dataset

from limbeck.core.errors import ConfigError, ModelError, Problem
from limbeck.core.examples import data_row
from limbeck.core.kinds import KindName, kind_named, kinds_that
from limbeck.core.models import read_config
from limbeck.core.positions import positions_of
from limbeck.inference import generate as inference
from limbeck.recipes.steps import Generate
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.rendering import Rendering
from limbeck.runs.assembly.answers import prompts_to_answer, said_of_ends
from limbeck.runs.assembly.teachers.writing import Answer, Prompt
from limbeck.runs.assembly.teachers.written import text_of
from limbeck.runs.checking.planned import WRITING, PlannedStep, read_bytes
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look, Survey

_PER_PART = 256  # minutes at most, and full batches


def look(at: Look, step: Generate) -> None:
    """Refuse a model that cannot write, and prompts that leave it no room."""
    teacher = at.info(step.teacher.word, "teacher.model")
    if teacher is None:
        return
    if teacher.kind is None or not kind_named(teacher.kind).writes:
        raise ModelError(
            Problem(
                "teacher.model",
                f"must be a {kinds_that('writes')} model to write, got {teacher.kind or 'another'}.",
            )
        )
    if teacher.positions is not None and step.max_new_tokens >= teacher.positions:
        raise ConfigError(
            Problem(
                "max_new_tokens",
                f"must be below the teacher's {teacher.positions} positions, got {step.max_new_tokens}.",
            )
        )
    tokenizer = at.known.tokenizer(teacher)
    at.seen.ends[at.place] = said_of_ends(tokenizer, teacher)
    if step.rows in at.rows:
        prompts_to_answer(at.rows[step.rows], step, teacher.kind, tokenizer, teacher.positions)


def plan(step: Generate, seen: Survey, rates: Rates, planned: PlannedStep) -> PlannedStep:
    """Many prompts are answered at a time, and every answer is as long as it may be."""
    teacher = seen.models.get(step.teacher.word)
    cost = 0.0 if teacher is None else rates.effective(teacher, 1)
    return replace(
        planned,
        teacher_parameters=(teacher.parameters if teacher else 0) or None,
        memory=read_bytes([step.teacher.word], seen),
        seconds=WRITING * cost * (planned.tokens or 0) / rates.operations,
    )


def open_writer(step: Generate, work: StepContext, rows: Dataset) -> "LocalWriter":
    """The model of a step; it is loaded when it writes first."""
    return LocalWriter(step, work, rows)


@dataclass(frozen=True)
class LocalWriter:
    """A model that answers the prompts of a step's rows.

    Attributes:
        step: that it writes for.
        work: where the model is found.
        rows: whose prompts it answers.
    """

    step: Generate
    work: StepContext
    rows: Dataset
    per_part: int = _PER_PART

    def prompts(self) -> list[Prompt]:
        """Token ids before each answer; texts are gone through in windows."""
        word = self.step.teacher.word
        positions = positions_of(read_config(self.work.model_place(word)))
        prompts = prompts_to_answer(self.rows, self.step, self._kind, self._tokenizer, positions)
        if prompts is None:
            return self._windows()
        places = {row_id: place for place, row_id in enumerate(self.rows["id"])}
        return [Prompt(row_id, places[row_id], prompt) for row_id, prompt in prompts.items()]

    def write(
        self, prompts: Sequence[Prompt], *, seed: int, progress: Callable[[float], None]
    ) -> list[Answer]:
        """Answers in its own tokens, decoded."""
        completions = inference.generate(
            self._model,
            [prompt.content for prompt in prompts],
            tokenizer_or_ids=self._tokenizer,
            max_new_tokens=self.step.max_new_tokens,
            sampling_temperature=self.step.sampling_temperature,
            top_p=self.step.top_p,
            seed=seed,
            vocabulary=len(self._tokenizer),
            progress=progress,
        )
        return [
            Answer(self._text(prompt, one.content), len(one.content), one.stopped)
            for prompt, one in zip(prompts, completions, strict=True)
        ]

    def _text(self, prompt: Prompt, ids: Sequence[int]) -> str:
        text = text_of(ids, self._tokenizer)
        if not text.strip() or kind_of(self.rows.column_names) is not Kind.TEXT:
            return text
        return text_of([*prompt.content, *ids], self._tokenizer)

    def _windows(self) -> list[Prompt]:
        """Text is gone through in windows as long as prompt and answer: each begins with a prompt."""
        step = self.step
        rendering = Rendering(model_kind="causal", max_length=step.prompt_tokens + step.max_new_tokens)
        rendered = self.work.renderer.render(step.rows, self.rows, self._tokenizer, rendering)
        places = {row_id: place for place, row_id in enumerate(self.rows["id"])}
        columns = zip(rendered["row_id"], rendered["input_ids"], strict=True)
        return [
            Prompt(row_id, places[data_row(row_id, places)], list(ids[: step.prompt_tokens]))
            for row_id, ids in columns
            if len(ids) > step.prompt_tokens or "#" not in row_id
        ]

    @cached_property
    def _kind(self) -> KindName:
        return self.work.kind("auto", self.step.teacher.word)

    @cached_property
    def _tokenizer(self) -> Any:
        return self.work.load_tokenizer(self.step.teacher.word)

    @cached_property
    def _model(self) -> Any:
        return self.work.load_model(self.step.teacher.word, self._kind)
