"""What a plan says of the rows of a step: their form, what was cut or added, and the first of them."""

from typing import Any

from datasets import Dataset

from limbeck.core.kinds import KindName, kind_named
from limbeck.rows.forms import said_of_form
from limbeck.rows.preview import Preview, previews
from limbeck.rows.render import notes_of

_SAMPLES = 2  # rows shown in a plan


def said_of_rows(
    rows: Dataset, rendered: Dataset, tokenizer: Any, kind: KindName
) -> tuple[list[str], list[Preview]]:
    """Sentences on how rows are read, and the first of them as the model reads them."""
    notes = [note[:1].upper() + note[1:] for note in notes_of(rendered)]
    if not kind_named(kind).scores_tokens or kind_named(kind).draws:
        return notes, []
    form = said_of_form(rows, tokenizer)
    return [form, *notes] if form else notes, previews(rendered, tokenizer, _SAMPLES)
