"""How well two tokenizers line up on given texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from limbeck.rows.aligned.chunks import Ends, chunk_numbers
from limbeck.rows.aligned.ends import token_ends
from limbeck.rows.tokens import Ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LONG = 32
"""Bytes beyond which a chunk counts as long: a few words, of which only the sum is compared."""


@dataclass(frozen=True)
class Coverage:
    """Counts over texts; shares lie in [0, 1].

    Attributes:
        texts: how many.
        size: bytes of them.
        tokens: of the student and of the teacher.
        chunks: the finest that both bound.
        one_to_one: share of the student's tokens that are alone in their chunk with one of the teacher's.
        in_long: share of bytes in chunks of more than `LONG` bytes.
        longest: bytes of the longest chunk.
        dropped: bytes in no chunk; 0 unless a side makes no token at all of a text.
        altered: share of texts' lines that decode otherwise than they were encoded, of both sides.
    """

    texts: int
    size: int
    tokens: tuple[int, int]
    chunks: int
    one_to_one: float
    in_long: float
    longest: int
    dropped: int
    altered: tuple[float, float]


def coverage(
    student_tokenizer: "PreTrainedTokenizerBase",
    teacher_tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
) -> Coverage:
    """Align `texts` (at least one of them with a token on both sides) and count.

    Whether a tokenizer alters text is asked line by line, spaces around a line left out.
    """
    sizes = np.asarray([len(text.encode()) for text in texts], dtype=np.int64)
    bases = np.cumsum(sizes + 1) - sizes - 1  # a byte between texts, so that no chunk spans two of them
    student, teacher = (
        _in_a_row(token_ends(tokenizer, texts), bases) for tokenizer in (student_tokenizer, teacher_tokenizer)
    )
    numbers, others = chunk_numbers(student, teacher)
    ours, theirs = np.bincount(numbers[numbers >= 0]), np.bincount(others[others >= 0])
    borders = np.unique(student[numbers >= 0])
    borders = borders[np.isin(borders, teacher)]
    row = np.searchsorted(bases, borders, side="right") - 1
    begins = np.maximum(np.append(0, borders[:-1]), bases[row])
    lengths = borders - begins
    total = int(sizes.sum())
    return Coverage(
        texts=len(texts),
        size=total,
        tokens=(len(student), len(teacher)),
        chunks=len(borders),
        one_to_one=float(((ours == 1) & (theirs == 1)).sum() / max(len(student), 1)),
        in_long=float(lengths[lengths > LONG].sum() / max(total, 1)),
        longest=int(lengths.max(initial=0)),
        dropped=total - int(lengths.sum()),
        altered=(_altered(student_tokenizer, texts), _altered(teacher_tokenizer, texts)),
    )


def _in_a_row(found: Sequence[tuple[Ids, Ends]], bases: Ends) -> Ends:
    ends = [ends + base for (_, ends), base in zip(found, bases, strict=True)]
    return np.concatenate(ends) if ends else np.zeros(0, dtype=np.int64)


def _altered(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> float:
    lines = [line.strip() for text in texts for line in text.split("\n") if line.strip()]
    if not lines:
        return 0.0
    ids = tokenizer(lines, add_special_tokens=False, verbose=False)["input_ids"]
    back = tokenizer.batch_decode(ids, clean_up_tokenization_spaces=False)
    return sum(line != one.strip() for line, one in zip(lines, back, strict=True)) / len(lines)
