"""Pairs of models with random weights, and prompts for them: what an on-policy benchmark starts from."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from limbeck.core.batch import Batch
from limbeck.core.masks import next_token_targets


class Shape(NamedTuple):
    """A Llama: layers, width, feed-forward width, heads, key-value heads."""

    layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int


class Case(NamedTuple):
    """A pair of models and their vocabulary."""

    vocabulary: int
    student: Shape
    teacher: Shape


CASES = {
    "large": Case(32_000, Shape(8, 512, 1536, 8, 8), Shape(12, 768, 2304, 12, 12)),
    "small": Case(4_096, Shape(4, 256, 768, 4, 4), Shape(8, 512, 1536, 8, 8)),
    # The shapes of Qwen2.5-0.5B and 1.5B.
    "half-billion": Case(151_936, Shape(24, 896, 4864, 14, 2), Shape(28, 1536, 8960, 12, 2)),
    "tiny": Case(320, Shape(2, 32, 64, 4, 2), Shape(2, 64, 128, 4, 2)),
}
PROMPT_TOKENS = (16, 96)
NEW_TOKENS = 64
STOP_EVERY = 48  # with 64 new tokens at most, a completion has 35 on average


class Prompts:
    """Prompts of `PROMPT_TOKENS`; entry i is a whole micro-batch, in which a row has one token to replace."""

    def __init__(self, case: Case, steps: int, size: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        least, most = PROMPT_TOKENS
        first = case.vocabulary // STOP_EVERY  # ids below end a completion
        lengths = generator.integers(least, most + 1, steps * size)
        self.rows = [generator.integers(first, case.vocabulary - 1, length) for length in lengths]
        self.size, self.pad = size, case.vocabulary - 1

    def __len__(self) -> int:
        return len(self.rows) // self.size

    def take(self, start: int, count: int) -> list[int]:
        """The entries in their order: both contestants see the same prompts in the same step."""
        return [place % len(self) for place in range(start, start + count)]

    def batch(self, indices: Sequence[int]) -> Batch:
        """The micro-batches `indices`, one after another, padded."""
        rows = [row for index in indices for row in self.rows[index * self.size : (index + 1) * self.size]]
        lengths = np.array([len(row) + 1 for row in rows])
        ids = np.full((len(rows), lengths.max()), self.pad)
        for line, row in zip(ids, rows, strict=True):
            line[: len(row)] = row
        places = np.arange(ids.shape[1])
        mask = places < lengths[:, None]
        targets = next_token_targets(ids, places == lengths[:, None] - 1, np.where(mask, 0, -1))
        inputs = {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask.astype(np.int64))}
        return Batch(inputs, torch.tensor(targets), [(f"row-{number}",) for number in range(len(rows))])


def models(case: Case, device: str, dtype: torch.dtype) -> tuple[LlamaForCausalLM, LlamaForCausalLM]:
    """Student and teacher, random weights."""
    built = []
    for seed, shape in enumerate((case.student, case.teacher)):
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=case.vocabulary,
            hidden_size=shape.width,
            intermediate_size=shape.inner,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.kv_heads,
            max_position_embeddings=1024,
            tie_word_embeddings=True,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=list(stops(case)),
        )
        built.append(LlamaForCausalLM(config).to(device=device, dtype=dtype))
    return built[0], built[1].eval()


def stops(case: Case) -> range:
    """The ids that end a completion."""
    return range(case.vocabulary // STOP_EVERY)


def words_tokenizer(vocabulary: int) -> Any:
    """A tokenizer in which word w<i> has id i."""
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers import models as kinds
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(kinds.WordLevel({f"w{place}": place for place in range(vocabulary)}, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, eos_token="w0", pad_token=f"w{vocabulary - 1}", padding_side="left"
    )
