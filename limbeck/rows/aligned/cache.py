"""Pairs of rendered rows kept in a folder, named by what they were made of."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets import Dataset

from limbeck.core.files import held, write_folder
from limbeck.core.fingerprint import fingerprint, tokenizer_fingerprint
from limbeck.rows.read import quiet
from limbeck.rows.rendering import Rendering

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_VERSION = 2  # raised when the same input is aligned otherwise
_HASHED = 10_000  # rows copied at a time
_SIDES = ("student", "teacher")


def kept(
    folder: Path | None,
    rows: Dataset,
    tokenizers: "Sequence[PreTrainedTokenizerBase]",
    choices: Sequence[Any],
    make: Callable[[], tuple[Dataset, Dataset]],
) -> tuple[Dataset, Dataset]:
    """What `make` returns, read from `folder` if the same was kept there; without a folder, made."""
    if folder is None:
        return make()
    plain = [asdict(choice) if isinstance(choice, Rendering) else choice for choice in choices]
    sides = [[tokenizer_fingerprint(one), str(one.chat_template)] for one in tokenizers]
    marks = [_VERSION, rows_fingerprint(rows), sides, plain]
    place = folder / fingerprint(marks)

    def fill(target: Path) -> None:
        made = make()
        with quiet():
            for name, rendered in zip(_SIDES, made, strict=True):
                rendered.save_to_disk(str(target / name))

    # Of processes that need the same pairs, one aligns and the others wait for it.
    with held(folder / f"{place.name}.lock"):
        if not place.exists():
            write_folder(place, fill)
    student, teacher = (Dataset.load_from_disk(str(place / name)) for name in _SIDES)
    return student, teacher


def rows_fingerprint(rows: Dataset) -> str:
    """Equal for equal rows in the same order, however they are stored."""
    table = rows.with_format("arrow")[:].combine_chunks().replace_schema_metadata(None)
    digest = hashlib.sha256(str(table.schema).encode())
    for batch in table.to_batches(max_chunksize=_HASHED):
        digest.update(batch.serialize())
    return digest.hexdigest()
