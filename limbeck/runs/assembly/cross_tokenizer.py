"""A teacher with another tokenizer: the rows in both sides' tokens, and how the teacher is put together."""

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset

from limbeck.core.files import cache_folder
from limbeck.core.token_bytes import token_bytes
from limbeck.recipes.alignment import Alignment
from limbeck.recipes.steps import Train
from limbeck.rows.aligned.pairs import Pair
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from limbeck.runs.assembly.views import Reading
from limbeck.runs.steps.context import StepContext
from limbeck.teachers.chunks import ChunkRules
from limbeck.teachers.cross_tokenizer import CrossTokenizerRows, CrossTokenizerTeacher
from limbeck.teachers.edit_map import edit_map

_BEGINS_A_WORD = (b" ", b"\n", b"\t")


def settings_of(step: Train) -> Alignment:
    """How the teacher is read; the defaults where the step does not say."""
    return step.alignment or Alignment()


def read_twice(step: Train, reading: Reading, own: Any, positions: int | None) -> Pair:
    """The rows of a step in the student's tokens and in the teacher's.

    Args:
        step: the training.
        reading: the rows as the student reads them.
        own: the teacher's tokenizer.
        positions: that the teacher was made for, if it says so.
    """
    limits = [size for size in (settings_of(step).teacher_max_length, positions) if size is not None]
    return reading.renderer.render_pair(
        reading.reference,
        reading.rows,
        reading.tokenizer,
        own,
        reading.rendering,
        teacher_length=min(limits, default=None),
    )


def make_cross_tokenizer_teacher(
    step: Train, work: StepContext, tokenizer: Any, rows: Dataset, rendering: Rendering
) -> CrossTokenizerTeacher:
    """The teacher of a step, over the rows in its tokens.

    Args:
        step: the training.
        work: where the model is found.
        tokenizer: the student's.
        rows: the teacher's half of the pair.
        rendering: how rows were rendered.
    """
    assert step.teacher is not None, "checked with the recipe"
    own = work.load_tokenizer(step.teacher.word)
    source = PaddedSource(rows, rendering, int(own.pad_token_id))
    alignment = settings_of(step)
    spelt, own_spelt = token_bytes(tokenizer), token_bytes(own)
    teacher = CrossTokenizerTeacher(
        work.load_model(step.teacher.word, "causal"),
        CrossTokenizerRows(source, {name: place for place, name in enumerate(rows["row_id"])}),
        vocabulary=ids_of(own),
        rules=ChunkRules(
            threshold=alignment.threshold,
            debias=alignment.debias,
            student_starts=_starts(spelt),
            teacher_starts=_starts(own_spelt),
            teacher_marks=torch.tensor([not one for one in own_spelt]),
        ),
        pairing=alignment.pair,
        ids=_mapped(tokenizer, own, spelt, own_spelt) if alignment.map == "min_edit" else None,
    )
    return teacher.to(work.device)


def ids_of(tokenizer: Any) -> int:
    """Number of ids that a tokenizer can give: what its model's head is cut to."""
    return 1 + max(tokenizer.get_vocab().values())


def _starts(spelt: Sequence[bytes]) -> torch.Tensor:
    """[V] ids behind which a word has ended: white space first, or a special token."""
    return torch.tensor([not one or one.startswith(_BEGINS_A_WORD) for one in spelt])


def _mapped(tokenizer: Any, own: Any, spelt: Sequence[bytes], own_spelt: Sequence[bytes]) -> torch.Tensor:
    """[V] the teacher's id for each of the student's; of special ones the same mark, or -1."""
    ids = edit_map(spelt, own_spelt, cache=cache_folder() / "edit_maps", workers=-1)
    known = own.get_vocab()
    for token, place in tokenizer.get_vocab().items():
        if not spelt[place]:
            ids[place] = known.get(token, -1)
    ids[tokenizer.eos_token_id] = own.eos_token_id
    return ids
