"""Which stretches of text in the loss two renderings of a row have in common."""

from collections.abc import Sequence
from typing import NamedTuple

from limbeck.core.errors import Problem
from limbeck.rows.causal import Piece
from limbeck.rows.chat import Segment


class Stretch(NamedTuple):
    """The part of a segment in the loss that both sides write, as one side has it.

    Attributes:
        start: byte of the segment's text at which it begins.
        length: bytes of it, equal on both sides.
        base: place of its first byte among the bytes in the loss of all rows. The place `base + length + 1`
            is of everything behind it: an end token, or the marks of a template.
        alone: the text before it is written by this side only, and more than white space.
    """

    start: int
    length: int
    base: int
    alone: bool

    @property
    def last(self) -> int:
        """The last place that belongs to it."""
        return self.base + self.length + 1


def stretches_of(
    students: Sequence[Piece], teachers: Sequence[Piece], problems: list[Problem]
) -> tuple[list[list[Stretch]], list[list[Stretch]]]:
    """For each row its stretches, as the student and as the teacher has them; adds to `problems`."""
    base = 0
    found: tuple[list[list[Stretch]], list[list[Stretch]]] = ([], [])
    for student, teacher in zip(students, teachers, strict=True):
        pairs = list(zip(_in_loss(student), _in_loss(teacher), strict=False))
        if len(_in_loss(student)) != len(_in_loss(teacher)):
            problems.append(_uneven(student, teacher))
            pairs = []
        own: tuple[list[Stretch], list[Stretch]] = ([], [])
        for ours, theirs in pairs:
            starts, size = _common(ours, theirs)
            if not size and ours.text and theirs.text:
                problems.append(_unlike(student.row_id, ours.text, theirs.text))
            for side, segment, start in zip(own, (ours, theirs), starts, strict=True):
                before, text = segment.text[:start], segment.text[start : start + size]
                side.append(Stretch(len(before.encode()), len(text.encode()), base, bool(before.strip())))
            base = own[0][-1].last + 1
        found[0].append(own[0])
        found[1].append(own[1])
    return found


def _in_loss(piece: Piece) -> list[Segment]:
    return [segment for segment in piece.segments if segment.in_loss]


def _common(student: Segment, teacher: Segment) -> tuple[tuple[int, int], int]:
    """Where the text that both write begins in each, and its length, in characters."""
    first, second = student.text, teacher.text
    if first == second:
        return (0, 0), len(first)
    place, other = first.find(student.words), second.find(student.words)
    if place < 0 or other < 0 or not student.words:
        place = other = 0
    before = _equal(first[:place][::-1], second[:other][::-1])
    place, other = place - before, other - before
    return (place, other), _equal(first[place:], second[other:])


def _equal(first: str, second: str) -> int:
    """How many characters both begin with."""
    pairs = zip(first, second, strict=False)
    unlike = (number for number, (one, other) in enumerate(pairs) if one != other)
    return next(unlike, min(len(first), len(second)))


def _uneven(student: Piece, teacher: Piece) -> Problem:
    counts = f"{len(_in_loss(student))} for the student and {len(_in_loss(teacher))} for the teacher"
    return Problem(
        f"row {student.row_id}",
        f"text in the loss must come in equally many stretches, got {counts}; their chat templates cut it "
        "differently. Set loss_on: all_assistant (or last_assistant).",
    )


def _unlike(row_id: str, student: str, teacher: str) -> Problem:
    return Problem(
        f"row {row_id}",
        "text in the loss must begin alike for student and teacher, got "
        f"{student!r:.60} and {teacher!r:.60}. Give both tokenizers templates that write the turn as it is.",
    )
