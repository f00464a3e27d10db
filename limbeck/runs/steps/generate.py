"""`generate`: a teacher writes completions for the prompts of rows, in parts that survive a kill."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset

from limbeck.core.errors import ConfigError, ModelError, Problem, RowError
from limbeck.core.examples import data_row
from limbeck.core.files import read_checked, write_checked
from limbeck.core.kinds import KindName, kind_named, kinds_that
from limbeck.core.model_words import model_word
from limbeck.core.models import read_config
from limbeck.core.positions import positions_of
from limbeck.core.seeds import derived_seed, generator
from limbeck.inference import generate as inference
from limbeck.recipes.steps import Generate
from limbeck.rows.given import FINISHED
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.marks import THOUGHT_TAGS
from limbeck.rows.rendering import Rendering
from limbeck.rows.turns import TRAIN
from limbeck.runs import ranks
from limbeck.runs.answers import prompts_to_answer, said_of_ends
from limbeck.runs.models import Shape
from limbeck.runs.planned import FLOAT, WRITING, PlannedStep, notes_of_step, read_bytes
from limbeck.runs.rates import Rates
from limbeck.runs.steps.look import Look, Survey
from limbeck.runs.steps.work import Made, Work

VERSION = 3
"""Raised when the same step makes other texts: what an earlier limbeck made is then made anew."""
_ROWS_PER_PART = 256  # written between two saves: minutes at most, and full batches
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


def run(step: Generate, work: Work) -> Made:
    """Write `rows/` into the step's folder: the rows of `step.rows` with the teacher's text as the answer."""
    made = _write(step, work) if ranks.is_main() else Made()
    ranks.wait()
    return made


def _write(step: Generate, work: Work) -> Made:
    kind = work.kind("auto", step.teacher.word)
    rows, tokenizer = work.rows(step.rows), work.load_tokenizer(step.teacher.word)
    asked = _asked(rows, step, kind, tokenizer, work)
    model = None
    parts = work.folder / "parts"
    count = _Count()
    written: list[dict[str, Any]] = []
    row_kind = kind_of(rows.column_names)
    jobs = [(one, sample) for one in asked for sample in range(step.samples)]
    for start in range(0, len(jobs), _ROWS_PER_PART):
        chosen = jobs[start : start + _ROWS_PER_PART]
        part = parts / f"{start:08d}.jsonl"
        kept = read_checked(part)
        if kept is None:  # not written yet, or damaged
            model = model if model is not None else work.load_model(step.teacher.word, kind)
            prompts = [one.prompt for one, _ in chosen]
            kept = _write_part(part, model, prompts, start, len(jobs), step, tokenizer, work)
        answers = [json.loads(line) for line in kept.splitlines()]
        for (one, sample), answer in zip(chosen, answers, strict=True):
            text = _text_of(answer["ids"], tokenizer)
            count.tokens += len(answer["ids"])
            if not text.strip():
                count.empty += 1
                continue
            count.kept, count.cut = count.kept + 1, count.cut + (not answer["stopped"])
            if row_kind is Kind.TEXT:
                text = _text_of([*one.prompt, *answer["ids"]], tokenizer)
            row_id = one.row_id + (f"~{sample}" if step.samples > 1 else "")
            row = _answered(rows[one.place], row_kind, text)
            written.append({**row, "id": row_id, FINISHED: answer["stopped"]})
    if not written:
        raise RowError(f"the teacher must write at least one completion, got {len(jobs)} empty ones.")
    Dataset.from_list(written).save_to_disk(str(work.folder / "rows"))
    return Made(tokens=count.tokens, notes=_notes(count, step))


@dataclass(frozen=True)
class _Asked:
    """A prompt, and the row it is from."""

    row_id: str
    place: int
    prompt: list[int]


def _asked(rows: Dataset, step: Generate, kind: KindName, tokenizer: Any, work: Work) -> list[_Asked]:
    positions = positions_of(read_config(work.model_place(step.teacher.word)))
    prompts = prompts_to_answer(rows, step, kind, tokenizer, positions)
    if prompts is None:
        found = _windows(rows, step, tokenizer, work)
    else:
        places = {row_id: place for place, row_id in enumerate(rows["id"])}
        found = [_Asked(row_id, places[row_id], prompt) for row_id, prompt in prompts.items()]
    if step.limit is None or step.limit >= len(found):
        return found
    chosen = generator(step.seed, "prompts").permutation(len(found))[: step.limit]
    return [found[place] for place in sorted(chosen)]


def _windows(rows: Dataset, step: Generate, tokenizer: Any, work: Work) -> list[_Asked]:
    """Text is gone through in windows as long as prompt and answer: each begins with a prompt."""
    rendering = Rendering(model_kind="causal", max_length=step.prompt_tokens + step.max_new_tokens)
    rendered = work.renderer.render(step.rows, rows, tokenizer, rendering)
    places = {row_id: place for place, row_id in enumerate(rows["id"])}
    columns = zip(rendered["row_id"], rendered["input_ids"], strict=True)
    whole = [(row_id, ids) for row_id, ids in columns if len(ids) > step.prompt_tokens or "#" not in row_id]
    return [
        _Asked(row_id, places[data_row(row_id, places)], list(ids[: step.prompt_tokens]))
        for row_id, ids in whole
    ]


def _write_part(
    part: Path,
    model: Any,
    prompts: Sequence[Sequence[int]],
    start: int,
    total: int,
    step: Generate,
    tokenizer: Any,
    work: Work,
) -> bytes:
    completions = inference.generate(
        model,
        prompts,
        tokenizer_or_ids=tokenizer,
        max_new_tokens=step.max_new_tokens,
        sampling_temperature=step.sampling_temperature,
        top_p=step.top_p,
        seed=derived_seed(step.seed, "generate", start),
        vocabulary=len(tokenizer),
        progress=lambda share: work.advance((start + share * len(prompts)) / total, "writing"),
    )
    lines = [json.dumps({"ids": one.content, "stopped": one.stopped}) for one in completions]
    written = "".join(f"{line}\n" for line in lines).encode()
    write_checked(part, written)
    return written


def _answered(row: Mapping[str, Any], kind: Kind, text: str) -> dict[str, Any]:
    """The row with the teacher's text where its own answer was."""
    if kind is Kind.TEXT:
        return {**row, "text": text}
    if kind in _ANSWERS:
        return {**row, _ANSWERS[kind]: text.strip() if kind is not Kind.COMPLETION else text}
    turn = {"role": "assistant", "content": text}
    if kind is Kind.MESSAGES:
        answers = [place for place, one in enumerate(row["messages"]) if one["role"] == "assistant"]
        return {**row, "messages": [*map(_given, row["messages"][: answers[-1]]), turn]}
    if isinstance(row["prompt"], str):
        return {**row, "completion": text}
    return {
        **{name: value for name, value in row.items() if name != "prompt"},
        "messages": [*map(_given, row["prompt"]), turn],
    }


def _text_of(ids: Sequence[int], tokenizer: Any) -> str:
    """What a model wrote, without control tokens, but with the tags that bound its thoughts."""
    added = tokenizer.added_tokens_decoder
    unseen = {*tokenizer.all_special_ids, *(one for one, token in added.items() if token.special)}
    unseen -= {one for one, token in added.items() if str(token) in THOUGHT_TAGS}
    return str(tokenizer.decode([one for one in ids if one not in unseen]))


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
    teacher = at.shape(step.teacher.word, "teacher.model")
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


def plan(step: Generate, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    teacher, rows = seen.models.get(step.teacher.word), seen.rows.get(step.rows)
    count = 0 if rows is None else len(rows) * step.samples
    tokens = count * step.max_new_tokens
    size = teacher.parameters if teacher else 0
    return PlannedStep(
        place,
        "generate",
        step.out,
        f"{model_word(step.teacher.word).said} generates completions for {step.rows}",
        rows=count,
        teacher_parameters=size or None,
        tokens=tokens,
        memory=read_bytes([step.teacher.word], seen),
        disk=tokens * FLOAT,
        seconds=_written_seconds(teacher, tokens, rates),
        notes=notes_of_step(place, seen),
    )


def _written_seconds(shape: Shape | None, tokens: int, rates: Rates) -> float:
    """Seconds in which a model generates so many tokens, many prompts at a time."""
    cost = 0.0 if shape is None else rates.effective(shape, 1)
    return WRITING * cost * tokens / rates.operations
