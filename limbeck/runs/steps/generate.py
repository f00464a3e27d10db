"""`generate`: a teacher writes completions for the prompts of rows, in parts that survive a kill."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from datasets import Dataset

from limbeck.core.errors import RowError
from limbeck.core.files import read_checked, write_checked
from limbeck.core.lineage import FINISHED, REASONING
from limbeck.core.model_words import model_word
from limbeck.core.seeds import derived_seed, generator
from limbeck.recipes.steps import Generate
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.turns import TRAIN
from limbeck.runs import ranks
from limbeck.runs.assembly.failed_draws import FailedDraws
from limbeck.runs.assembly.teachers import WRITING_TEACHERS
from limbeck.runs.assembly.teachers.writing import Answer, Missing, Prompt, TextTeacher
from limbeck.runs.checking.planned import FLOAT, PlannedStep, notes_of_step
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey

VERSION = 3
"""Raised when the same step makes other texts: what an earlier limbeck made is then made anew."""
_ANSWERS = {
    Kind.COMPLETION: "completion",
    Kind.QUESTION: "answer",
    Kind.LABELLED_TEXT: "label",
    Kind.LABELLED_PAIR: "label",
    Kind.PREFERENCE: "chosen",
}


@dataclass
class _Count:
    """What happened to completions."""

    kept: int = 0
    empty: int = 0
    cut: int = 0
    tokens: int = 0

    def keeps(self, answer: Answer) -> bool:
        """Whether an answer is kept; counts it."""
        self.tokens += answer.tokens
        if answer.is_empty:
            self.empty += 1
            return False
        self.kept, self.cut = self.kept + 1, self.cut + (not answer.stopped)
        return True


def run(step: Generate, work: StepContext) -> StepResult:
    """Write `rows/` into the step's folder: the rows of `step.rows` with the teacher's text as the answer."""
    made = _write(step, work) if ranks.is_main() else StepResult()
    ranks.wait()
    return made


def _write(step: Generate, work: StepContext) -> StepResult:
    rows = work.rows(step.rows)
    teacher = WRITING_TEACHERS[type(step.teacher)].open_writer(step, work, rows)
    prompts = _limited(teacher.prompts(), step)
    jobs = [replace(prompt, sample=sample) for prompt in prompts for sample in range(step.samples)]
    count = _Count()
    written: list[dict[str, Any]] = []
    row_kind = kind_of(rows.column_names)
    with FailedDraws(work.folder, step.failures) as failed:
        for start in range(0, len(jobs), teacher.per_part):
            chosen = jobs[start : start + teacher.per_part]
            answers = _part(start, chosen, len(jobs), teacher, step, work)
            for prompt, answer in zip(chosen, answers, strict=True):
                if isinstance(answer, Missing):
                    failed.add(prompt.row_id, answer.reason, answer.message, answer.key)
                elif count.keeps(answer):
                    row_id = prompt.row_id + (f"~{prompt.sample}" if step.samples > 1 else "")
                    row = _answered(rows[prompt.place], row_kind, answer, thoughts=step.thoughts)
                    written.append({**row, "id": row_id, FINISHED: answer.stopped})
            done = min(start + teacher.per_part, len(jobs))
            failed.check(done, is_last=done == len(jobs))
    if not written:
        raise RowError(f"the teacher must write at least one completion, got {len(jobs)} empty ones.")
    Dataset.from_list(_alike(written)).save_to_disk(str(work.folder / "rows"))
    return StepResult(tokens=count.tokens, notes=(*_notes(count, step), *failed.said()))


def _limited(prompts: list[Prompt], step: Generate) -> list[Prompt]:
    if step.limit is None or step.limit >= len(prompts):
        return prompts
    chosen = generator(step.seed, "prompts").permutation(len(prompts))[: step.limit]
    return [prompts[place] for place in sorted(chosen)]


def _part(
    start: int, prompts: Sequence[Prompt], total: int, teacher: TextTeacher, step: Generate, work: StepContext
) -> list[Answer | Missing]:
    """The answers to some prompts, written once and then read from the step's folder.

    A part in which some are missing is not kept: they are asked for again when the step goes on.
    """
    part = work.folder / "parts" / f"{start:08d}.answers.jsonl"
    kept = read_checked(part)
    if kept is not None:  # else it is not written yet, or damaged
        return [Answer(**json.loads(line)) for line in kept.splitlines()]
    answers = teacher.write(
        prompts,
        seed=derived_seed(step.seed, "generate", start),
        progress=lambda share: work.advance((start + share * len(prompts)) / total, "writing"),
    )
    whole = [one for one in answers if isinstance(one, Answer)]
    if len(whole) == len(answers):
        write_checked(part, "".join(f"{json.dumps(asdict(one))}\n" for one in whole).encode())
    return list(answers)


def _answered(row: Mapping[str, Any], kind: Kind, answer: Answer, *, thoughts: bool) -> dict[str, Any]:
    """The row with the teacher's answer where its own was; thoughts stand in a column, and in the turn."""
    text = answer.text
    apart = {} if answer.reasoning is None else {REASONING: answer.reasoning}
    if kind is Kind.TEXT:
        return {**row, "text": text}
    if kind in _ANSWERS:
        own = text.strip() if kind is not Kind.COMPLETION else text
        return {**row, **apart, _ANSWERS[kind]: own}
    turn: dict[str, Any] = {"role": "assistant", "content": text}
    if answer.reasoning is not None and thoughts:
        turn["reasoning_content"] = answer.reasoning
    if answer.tool_calls:
        turn["tool_calls"] = [dict(call) for call in answer.tool_calls]
    if kind is Kind.MESSAGES:
        answers = [place for place, one in enumerate(row["messages"]) if one["role"] == "assistant"]
        return {**row, **apart, "messages": [*map(_given, row["messages"][: answers[-1]]), turn]}
    if isinstance(row["prompt"], str):
        return {**row, **apart, "completion": text}
    return {
        **{name: value for name, value in row.items() if name != "prompt"},
        **apart,
        "messages": [*map(_given, row["prompt"]), turn],
    }


def _alike(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Thoughts in all rows, or in none: columns are read from the first row."""
    if not any(REASONING in row for row in rows):
        return rows
    return [{**row, REASONING: row.get(REASONING)} for row in rows]


def _given(turn: Mapping[str, Any]) -> dict[str, Any]:
    """A turn of the data before the teacher's: read, and not learnt if it is an answer."""
    return {**turn, TRAIN: False} if turn["role"] == "assistant" else dict(turn)


def _notes(count: _Count, step: Generate) -> tuple[str, ...]:
    notes = [f"{count.kept:,} completions, {count.tokens:,} tokens."]
    if count.cut:
        notes.append(
            f"{count.cut:,} completions were cut at {step.max_new_tokens} tokens; their end is not taught."
        )
    if count.empty:
        notes.append(f"{count.empty:,} empty completions were left out.")
    return tuple(notes)


def look(at: Look, step: Generate) -> None:
    """Refuse a teacher that cannot write, and prompts that leave it no room."""
    WRITING_TEACHERS[type(step.teacher)].look(at, step)


def plan(step: Generate, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    rows = seen.rows.get(step.rows)
    count = 0 if rows is None else len(rows) * step.samples
    tokens = count * step.max_new_tokens
    planned = PlannedStep(
        place,
        step.kind,
        step.out,
        f"{model_word(step.teacher.word or step.teacher.called).said} generates completions for {step.rows}",
        rows=count,
        tokens=tokens,
        disk=tokens * FLOAT,
        notes=notes_of_step(place, seen),
    )
    return WRITING_TEACHERS[type(step.teacher)].plan(step, seen, rates, planned)
