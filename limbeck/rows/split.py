"""A held-out part that depends on what rows say, not on the order they come in."""

import hashlib
import json
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset
from numpy.typing import NDArray

from limbeck.core.errors import ConfigError
from limbeck.rows.heard import alike, openings_of, prompts_of


def split_rows(rows: Dataset, heldout: float | int, seed: int) -> tuple[Dataset, Dataset]:
    """The rows to learn from and the held-out rows, each in the order of `rows`.

    Prompts (`rows.heard`) are ranked by a hash of seed and text; the first are held out, with all rows that
    have them or nearly so (`rows.heard.alike`): several answers to one prompt are on one side, whatever
    else their rows say. So are
    conversations with one opening, unless there are more of them than are to be held out. Where a group
    would overshoot the number, it is learnt from and the next in rank is taken. A column `heldout` of the
    data decides alone.

    Args:
        rows: any rows.
        heldout: a fraction in [0, 1) of the rows, rounded up, or a number of rows.
        seed: another seed holds out other rows.

    Raises:
        ConfigError: `heldout` is negative or leaves nothing to learn from.
    """
    if "heldout" in rows.column_names:
        marks = np.asarray([bool(mark) for mark in rows["heldout"]], dtype=np.bool_)
        return _parts(rows.remove_columns("heldout"), marks)
    count = _count(heldout, len(rows))
    marks = np.zeros(len(rows), dtype=np.bool_)
    if count == 0:
        return _parts(rows, marks)
    group, names = _groups(rows, count)
    sizes = np.bincount(group, minlength=len(names))
    chosen = np.zeros(len(names), dtype=np.bool_)
    for number in sorted(range(len(names)), key=lambda number: _rank(names[number], seed)):
        if sizes[number] <= count:
            chosen[number] = True
            count -= int(sizes[number])
        if count == 0:
            break
    return _parts(rows, chosen[group])


def shared_prompts(train: Dataset, heldout: Dataset) -> tuple[int, int]:
    """How many of the held-out prompts also occur among the rows to learn from, and how many there are."""
    asked = alike(prompts_of(heldout)).unique()
    found = pc.is_in(asked, alike(prompts_of(train)).unique()) if len(train) else pa.array([], pa.bool_())
    return int(pc.sum(found).as_py() or 0), len(asked)


def _groups(rows: Dataset, count: int) -> tuple[NDArray[np.int64], list[str]]:
    """[rows] the number of each row's group, and what groups are ranked by: the first of their prompts."""
    prompt, opening = prompts_of(rows), alike(openings_of(rows))
    sizes = opening.value_counts()
    large = pc.filter(sizes.field("values"), pc.greater(sizes.field("counts"), count))
    keys = pc.if_else(pc.is_in(opening, large), alike(prompt), opening) if len(large) else opening
    group = _encoded(keys)
    table = pa.table({"group": group.indices, "prompt": _whole(prompt)})
    first = table.group_by("group").aggregate([("prompt", "min")]).sort_by("group")
    return group.indices.to_numpy(zero_copy_only=False).astype(np.int64), first["prompt_min"].to_pylist()


def _encoded(texts: pa.ChunkedArray | pa.Array) -> pa.DictionaryArray:
    return _whole(texts).dictionary_encode()


def _whole(texts: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return pa.concat_arrays(texts.chunks) if isinstance(texts, pa.ChunkedArray) else texts


def _count(heldout: float | int, rows: int) -> int:
    is_count = isinstance(heldout, int)
    if not (0 <= heldout < (max(rows, 1) if is_count else 1)):
        raise ConfigError(
            f"heldout must be a fraction in [0, 1) or a number of rows below the {rows} there are, "
            f"got {heldout}. Leave some rows to learn from."
        )
    # The fraction as written: 0.1 * 30 is 3.0000000000000004 and must give 3.
    return int(heldout) if is_count else math.ceil(round(heldout * rows, 6))


def _rank(text: str, seed: int) -> bytes:
    return hashlib.sha256(
        json.dumps([seed, text], ensure_ascii=False).encode("utf-8", "surrogatepass")
    ).digest()


def _parts(rows: Dataset, is_heldout: "np.ndarray[Any, np.dtype[np.bool_]]") -> tuple[Dataset, Dataset]:
    return rows.select(np.flatnonzero(~is_heldout)), rows.select(np.flatnonzero(is_heldout))
