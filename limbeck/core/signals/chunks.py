"""Chunks of text that two tokenizers bound: how likely each side finds them, and its states behind them."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from limbeck.core.needs import Site
from limbeck.core.signals.entry import LAYERS, Moment, Side, Signal, Trial, of_model

if TYPE_CHECKING:
    from torch import Tensor


class Chunks(NamedTuple):
    """What a teacher with another tokenizer says of chunks of text, and where the student reads them.

    A chunk is counted where both sides end a token at the same byte. Merged chunks are runs of chunks
    that end where the teacher expects a word to end. Places are in the student's flattened [B, T].

    Attributes:
        log_probs: [N] natural log-likelihood of each merged chunk, at most 0.
        members: [B, T] number of the merged chunk that each target belongs to; -1 outside.
        ends: [N] place of the output behind each merged chunk's last target, whose mass on `starts` is a
            factor of the chunk's likelihood; -1 where it is not.
        starts: [V] True at the ids of the student that begin a word.
        lasts: [E] place of the last token of each chunk before merging.
        states: layer -> [E, D] states of the teacher at the last token of each chunk before merging.
    """

    log_probs: "Tensor"
    members: "Tensor"
    ends: "Tensor"
    starts: "Tensor"
    lasts: "Tensor"
    states: "Mapping[Site, Tensor]"


def _chunks(moment: Moment) -> Chunks:
    """Where chunks are, which the teacher finds out."""
    found: Chunks = moment.answer("teacher").taps["chunks", None]
    return found


def _of_student(moment: Moment) -> "Tensor":
    from limbeck.core.chunk_likelihoods import chunk_likelihoods

    return chunk_likelihoods(moment.student, _chunks(moment), moment.batch)


def _states_of_student(moment: Moment) -> "Tensor":
    import torch

    taps, lasts = moment.student.taps, _chunks(moment).lasts
    states = [taps["states", layer].flatten(0, 1)[lasts] for layer in moment.matched("student")]
    return torch.stack(states, dim=1)


def _states_of_teacher(moment: Moment) -> "Tensor":
    import torch

    states = _chunks(moment).states
    return torch.stack([states[layer] for layer in moment.matched("teacher")], dim=1)


def _tried(trial: Trial) -> "Tensor":
    return -trial.numbers(trial.chunks).abs()


def _tried_states(side: Side, trial: Trial) -> "Tensor":
    return trial.numbers(trial.chunks, trial.layers, trial.width(side))


_PLACES = of_model("teacher", "chunks")

SIGNALS = (
    Signal(
        "student_chunks",
        "[N] log-likelihood that the student gives each chunk of text",
        _of_student,
        _tried,
        side="student",
        asks=of_model("student", "distribution") | _PLACES,
        in_packs=True,
    ),
    Signal(
        "teacher_chunks",
        "[N] log-likelihood that the teacher gives each chunk of text",
        lambda moment: _chunks(moment).log_probs,
        _tried,
        side="teacher",
        asks=_PLACES,
        in_packs=True,
        tokens="own",
    ),
    Signal(
        "student_chunk_states",
        "[N, M, D] states of the student at the last token of each chunk, matched layers",
        _states_of_student,
        partial(_tried_states, "student"),
        side="student",
        asks=of_model("student", "states", LAYERS) | _PLACES,
        in_packs=True,
    ),
    Signal(
        "teacher_chunk_states",
        "[N, M, D] states of the teacher at the last token of each chunk, matched layers",
        _states_of_teacher,
        partial(_tried_states, "teacher"),
        side="teacher",
        asks=of_model("teacher", "states", LAYERS) | _PLACES,
        in_packs=True,
        tokens="own",
    ),
)
