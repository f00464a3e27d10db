"""How likely a teacher finds each chunk of text, and where a student with another tokenizer reads it."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from limbeck.core.chunk_likelihoods import likelihoods_at
from limbeck.core.outputs import Outputs
from limbeck.core.signals.chunks import Chunks
from limbeck.teachers.frames import Frame


@dataclass(frozen=True)
class ChunkRules:
    """How chunks are counted.

    Attributes:
        threshold: a chunk ends only where the teacher expects a new word with more than this
            probability, and otherwise joins the next one; 0: all chunks stay apart.
        debias: whether the probability that a word ends with the chunk is a factor of its likelihood.
        student_starts: [V] True at the student's ids that begin a word.
        teacher_starts: [V'] True at the teacher's ids that begin a word.
        teacher_marks: [V'] True at the teacher's special ids; what follows them is not asked.
    """

    threshold: float
    debias: bool
    student_starts: Tensor
    teacher_starts: Tensor
    teacher_marks: Tensor

    def to(self, device: torch.device | str) -> Self:
        """The same with its tensors on a device."""
        names = ("student_starts", "teacher_starts", "teacher_marks")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def chunks_of(answer: Outputs, student: Frame, teacher: Frame, rules: ChunkRules) -> Chunks:
    """Likelihoods of merged chunks under the teacher, and the places where the student reads its own.

    The log-likelihood of a chunk is the sum over its tokens, each given all text before it. A text may
    go on inside a word, which the next token of one tokenizer may begin where the other's does not: so
    the likelihood counts the event that a word ends there, too (outcome chunk debiasing).

    Args:
        answer: of the teacher to its own batch.
        student: the rows in the student's tokens.
        teacher: the same rows in the teacher's.
        rules: how chunks are counted.

    Source:
        Minixhofer et al. 2025 (ALM), arXiv:2503.20083, section 3; tokenkit (bminixhofer/tokenkit),
        `training/losses.py`, mode `merge_by_space_prob+append_space`. We differ: an end token, behind
        which nothing is asked, always ends a chunk; a chunk at the end of a row ends there.
    """
    stride = 1 + int(max(frame.batch.signals["chunks"].max() for frame in (student, teacher)))
    keys, student_keys = teacher.chunk_keys(stride), student.chunk_keys(stride)
    names = torch.unique(keys[keys >= 0])
    names = names[torch.isin(names, student_keys)]
    numbers, student_numbers = (_numbered(names, one) for one in (keys, student_keys))
    lasts, student_lasts = (_last_places(one, len(names)) for one in (numbers, student_numbers))
    log_probs, log_ends = _likelihoods(answer, teacher, numbers, lasts, rules)
    is_mark = rules.teacher_marks[teacher.targets[lasts]]
    rows = names // stride
    closes = (log_ends.exp() > rules.threshold) | is_mark
    closes |= torch.cat([rows[1:] != rows[:-1], rows.new_ones(min(1, len(rows))).bool()])
    merged = closes.cumsum(0) - closes.long()
    is_asked = closes & ~is_mark & rules.debias
    log_probs = log_probs + log_ends.where(is_asked, 0.0)
    ends = (student_lasts + 1).where(is_asked, -1)
    total = log_probs.new_zeros(int(closes.sum())).index_add_(0, merged, log_probs)
    # No chunk at all: `merged` has nothing to look up.
    looked_up = torch.cat([merged, merged.new_full((1,), -1)])
    return Chunks(
        log_probs=total.clamp_max(0.0),
        members=looked_up[student_numbers].view(student.rows.shape),
        ends=ends[closes],
        starts=rules.student_starts,
        lasts=student_lasts + 1,
        states={
            layer: state.flatten(0, 1)[lasts + 1]
            for (tap, layer), state in answer.taps.items()
            if tap == "states"
        },
    )


def _numbered(names: Tensor, keys: Tensor) -> Tensor:
    """[P] place of each key in the ascending `names`; -1 where it is none of them."""
    if not len(names):
        return torch.full_like(keys, -1)
    found = torch.searchsorted(names, keys).clamp_max(len(names) - 1)
    return found.where(names[found] == keys, -1)


def _last_places(numbers: Tensor, count: int) -> Tensor:
    """[E] the last place of each number."""
    inside = (numbers >= 0).nonzero().squeeze(-1)
    return numbers.new_zeros(count).scatter_reduce_(0, numbers[inside], inside, "amax")


def _likelihoods(
    answer: Outputs, teacher: Frame, numbers: Tensor, lasts: Tensor, rules: ChunkRules
) -> tuple[Tensor, Tensor]:
    """[E] log-likelihood of each chunk, and of a word's beginning behind it."""
    is_read = numbers >= 0
    is_read[lasts + 1] = True
    read = is_read.nonzero().squeeze(-1)
    labels, starts = likelihoods_at(answer, read, teacher.targets[read], rules.teacher_starts)
    inside = numbers[read] >= 0
    log_probs = labels.new_zeros(len(lasts)).index_add_(0, numbers[read][inside], labels[inside])
    return log_probs, starts[torch.searchsorted(read, lasts + 1)]
