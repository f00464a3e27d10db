"""Rollouts of a tiny student and a tiny teacher over the engine's rows, and models that are scripts."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs
from limbeck.core.rollouts import RolloutSettings
from limbeck.inference.request import TokenIds
from limbeck.rollouts import LocalWriter, Rollouts, Writers
from limbeck.runs.assembly.transforms.training import read_at_rest
from tests.engine.world import VOCABULARY, Rows
from tests.tiny import tiny_llama

EOS = tuple(range(4, 12))
"""Many ends, so that completions of a model that knows nothing have many lengths."""

IDS = TokenIds(EOS, 0)


def tiny_student(seed: int = 1) -> nn.Module:
    return tiny_llama(vocab=VOCABULARY, seed=seed, initializer_range=0.1)


@cache
def tiny_teacher() -> nn.Module:
    return tiny_llama(vocab=VOCABULARY, width=48, seed=2, initializer_range=0.1)


def reads(model: nn.Module):
    """A model as scores and corrections ask it."""
    reader = ForwardModel(model).probe()
    return lambda batch: read_at_rest(model, reader, batch)


def writers_of(
    student: nn.Module, teacher: nn.Module, ids: TokenIds = IDS, vocabulary: int = VOCABULARY
) -> Writers:
    """Both models in this process; scripts answer for themselves."""
    asked = [model.answer if isinstance(model, Script) else reads(model) for model in (student, teacher)]
    return Writers(
        trained=student,
        student=LocalWriter(student, ids, vocabulary, guide=teacher),
        ask_student=asked[0],
        teacher=LocalWriter(teacher, ids, vocabulary),
        ask_teacher=asked[1],
        ids=ids,
    )


def make_rollouts(
    folder: Path,
    *,
    model: nn.Module | None = None,
    shares: Mapping[str, float] | None = None,
    ids: TokenIds = IDS,
    rank: tuple[int, int] = (0, 1),
    needs_scores: bool = False,
    seed: int = 0,
    **settings: object,
) -> Rollouts:
    """Rollouts with 6 new tokens at most, of plain numbers as shares."""
    chosen = RolloutSettings(**{"max_new_tokens": 6, "prompt_tokens": 2, **settings})
    student, teacher = model or tiny_student(), tiny_teacher()
    return Rollouts(
        chosen,
        shares={"student": chosen.student, "teacher": chosen.teacher, "fresh": 1.0, **(shares or {})},
        writers=writers_of(student, teacher, ids),
        folder=folder,
        seed=seed,
        needs_scores=needs_scores,
        prompts=Rows(),
        rank=rank,
    )


def window(*parts: Sequence[int]) -> list[Batch]:
    """A step's micro-batches of these rows."""
    return [Rows().batch(list(part)) for part in parts]


class Script(nn.Module):
    """A model whose next token depends on the last one alone: [V, V] logits."""

    def __init__(self, table: Tensor) -> None:
        super().__init__()
        self.table = nn.Parameter(table)
        self.config = SimpleNamespace(is_encoder_decoder=False, vocab_size=len(table))

    def forward(
        self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, use_cache=None
    ):
        """The rows of the table."""
        return SimpleNamespace(logits=self.table[input_ids], past_key_values=_NoCache())

    def answer(self, batch: Batch, needs: Needs | None = None) -> Outputs:
        """What scores and corrections ask for."""
        return Outputs(logits=self.table.detach()[batch.inputs["input_ids"]])


class _NoCache:
    def batch_select_indices(self, rows: Tensor) -> None:
        """Nothing is kept."""


def chain(size: int, certainty: float = 30.0, **following: int) -> Tensor:
    """Logits of a model that counts upwards, except `t6=10`: after 6 comes 10."""
    table = torch.zeros(size, size)
    for token in range(size):
        table[token, following.get(f"t{token}", min(token + 1, size - 1))] = certainty
    return table
