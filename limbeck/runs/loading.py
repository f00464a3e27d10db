"""The rows of a load step."""

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.model import Load
from limbeck.rows.forms import as_read
from limbeck.rows.load import load_rows
from limbeck.rows.split import split_rows


def loaded(step: Load) -> tuple[Dataset, Dataset, Dataset]:
    """The rows of a load step: to learn from, to watch while training, and held out.

    Raises:
        ConfigError, RowError: see `load_rows` and `split_rows`.
    """
    rows = load_rows(step.path, columns=step.columns, split=step.split, limit=step.limit)
    for part in ("heldout", "validation"):
        value = getattr(step, part)
        if value >= 1 and value != int(value):
            raise ConfigError(Problem(part, f"must be a share below 1 or a whole number, got {value}."))
    others, heldout = split_rows(rows, _number_or_share(step.heldout), step.seed)
    train, validation = split_rows(others, _number_or_share(step.validation), step.seed)
    day = None if step.template_date is None else step.template_date.isoformat()
    first, second, third = (
        as_read(part, chat=step.chat, special_tokens=step.special_tokens, template_date=day)
        for part in (train, validation, heldout)
    )
    return first, second, third


def _number_or_share(value: float) -> float | int:
    return int(value) if value >= 1 else value
