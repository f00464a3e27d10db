"""`load`: read rows, check them, hold some out, keep all parts as Arrow."""

from collections.abc import Iterable

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.steps import Load, Step
from limbeck.recipes.steps.step import path_of
from limbeck.rows.facts import facts_of
from limbeck.rows.forms import as_read
from limbeck.rows.load import load_rows
from limbeck.rows.split import shared_prompts, split_rows
from limbeck.runs import ranks
from limbeck.runs.checking.planned import (
    PlannedStep,
    notes_of_step,
)
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.context import StepContext, StepResult
from limbeck.runs.steps.look import Look, Survey

VERSION = 3
"""Raised when the same step makes other rows: what an earlier limbeck made is then made anew."""

Parts = tuple[Dataset, Dataset, Dataset]


def run(step: Load, work: StepContext) -> StepResult:
    """Write `train/`, `validation/` and `heldout/` into the step's folder."""
    if all(name in work.seen_rows for name in step.words):
        parts = [work.seen_rows[name] for name in step.words]
    else:
        parts = list(loaded(step))
    if ranks.is_main():
        for part, rows in zip(step.parts, parts, strict=True):
            # Without a shard of its own an empty part could be written but not read.
            rows.save_to_disk(str(work.folder / part), num_shards=None if len(rows) else 1)
    ranks.wait()
    validation = f", {len(parts[1]):,} for validation" if len(parts[1]) else ""
    apart = f" for training{validation}, {len(parts[2]):,} held out" if step.heldout or validation else ""
    counted = f"{len(parts[0]):,} rows{apart}."
    train, validation, heldout = parts
    return StepResult(notes=(counted, *notes_on((train, validation, heldout), work.recipe.steps)))


def look(at: Look, step: Load) -> None:
    """Read the rows; refuse a part that a step reads and that has none."""
    parts, steps = loaded(step), at.seen.recipe.steps
    at.seen.notes[at.place] = notes_on(parts, steps)
    read = {
        rows.partition(".")[2]: place
        for place, other in enumerate(steps)
        for rows in other.named("rows").values()
        if rows.partition(".")[0] == step.out
    }
    for part, rows in zip(step.parts, parts, strict=True):
        if len(rows) == 0 and part in read:
            reader = path_of(read[part], steps[read[part]])
            raise ConfigError(
                Problem(
                    part if part != "train" else "heldout",
                    f"must leave at least one row in {step.out}.{part}, which {reader} reads, got "
                    f"{step.heldout:g} held out of {sum(map(len, parts))} rows. Set another share or "
                    "number of rows; equal rows always stay on one side.",
                )
            )
        at.rows[f"{step.out}.{part}"] = rows


def plan(step: Load, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    parts = [seen.rows.get(word) for word in step.words]
    sizes = [0 if part is None else len(part) for part in parts]
    stored = sum(int(part.data.nbytes) for part in parts if part is not None)
    validation = f", {sizes[1]:,} for validation" if sizes[1] else ""
    apart = f", {sizes[2]:,} held out" if step.heldout else ""
    what = f"{step.path}: {sizes[0]:,} rows{validation}{apart}"
    return PlannedStep(
        place, step.kind, step.out, what, rows=sum(sizes), disk=stored, notes=notes_of_step(place, seen)
    )


def loaded(step: Load) -> Parts:
    """The rows of a load step: to learn from, to validate on, and held out.

    Raises:
        ConfigError, RowError: see `load_rows` and `split_rows`.
    """
    rows = load_rows(
        step.path,
        columns=step.columns,
        ignore=step.ignore,
        keep=step.keep,
        split=step.split,
        limit=step.limit,
        bad_rows=step.bad_rows,
        encoding=step.encoding,
    )
    for part in ("heldout", "validation"):
        value = getattr(step, part)
        if value >= 1 and value != int(value):
            raise ConfigError(Problem(part, f"must be a share below 1 or a whole number, got {value}."))
    others, heldout = split_rows(rows, _number_or_share(step.heldout), step.seed)
    train, validation = split_rows(others, _number_or_share(step.validation), step.seed)
    day = None if step.template_date is None else step.template_date.isoformat()
    first, second, third = (
        as_read(
            part,
            chat=step.chat,
            special_tokens=step.special_tokens,
            template_date=day,
            too_long=None if step.too_long == "refuse" else step.too_long,
        )
        for part in (train, validation, heldout)
    )
    return first, second, third


def notes_on(parts: Parts, steps: Iterable[Step]) -> list[str]:
    """Sentences on loaded rows: what was left out, what nothing reads, whether held-out prompts were seen.

    Args:
        parts: of `loaded`.
        steps: of the recipe, some of which read columns of their own choice.
    """
    train, _, heldout = parts
    facts = facts_of(train)
    notes = list(facts.notes)
    if facts.turned:
        notes.append("Prompts and answers became conversations, with what else goes with them.")
    named = {one.word for step in steps for one in step.reads() if one.names.what == "column"}
    unread = sorted(set(facts.unread) - named)
    if unread:
        notes.append(f"Columns that nothing reads: {', '.join(unread)}.")
    return [*notes, *said_of_overlap(train, heldout)]


def said_of_overlap(train: Dataset, heldout: Dataset) -> list[str]:
    """How many of the held-out prompts are also trained on; nothing without any held out."""
    if not len(heldout) or not len(train):
        return []
    shared, prompts = shared_prompts(train, heldout)
    return [f"{shared:,} of {prompts:,} held-out prompts also occur among the training rows."]


def _number_or_share(value: float) -> float | int:
    return int(value) if value >= 1 else value
