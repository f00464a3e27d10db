"""The rows of a load step, and what there is to say of them."""

from collections.abc import Iterable

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.steps import Evaluate, Load, Step, Train
from limbeck.rows.facts import facts_of
from limbeck.rows.forms import as_read
from limbeck.rows.load import load_rows
from limbeck.rows.split import shared_prompts, split_rows

Parts = tuple[Dataset, Dataset, Dataset]


def loaded(step: Load) -> Parts:
    """The rows of a load step: to learn from, to watch while training, and held out.

    Raises:
        ConfigError, RowError: see `load_rows` and `split_rows`.
    """
    rows = load_rows(
        step.path,
        columns=step.columns,
        ignore=step.ignore,
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
    unread = sorted(set(facts.unread) - _columns_of(steps))
    if unread:
        notes.append(f"Columns that nothing reads: {', '.join(unread)}.")
    return [*notes, *said_of_overlap(train, heldout)]


def said_of_overlap(train: Dataset, heldout: Dataset) -> list[str]:
    """How many of the held-out prompts are also trained on; nothing without any held out."""
    if not len(heldout) or not len(train):
        return []
    shared, prompts = shared_prompts(train, heldout)
    return [f"{shared:,} of {prompts:,} held-out prompts also occur among the training rows."]


def _columns_of(steps: Iterable[Step]) -> set[str]:
    """Columns that steps name."""
    found: set[str | None] = set()
    for step in steps:
        if isinstance(step, Train | Evaluate) and step.teacher is not None:
            found |= {*step.teacher.columns}
        if isinstance(step, Train):
            found.add(step.domains.column if step.domains is not None else None)
            found.add(step.watch.perplexities_by if step.watch is not None else None)
    return {name for name in found if name}


def _number_or_share(value: float) -> float | int:
    return int(value) if value >= 1 else value
