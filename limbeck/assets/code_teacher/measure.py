"""Bits per byte of a causal language model on source files, under one fixed window rule."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from limbeck.assets.code_teacher.model import WINDOW
from limbeck.rows.standard_library import SourceFile


def bits_per_byte(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, files: Iterable[SourceFile]
) -> float:
    """Total negative log2-likelihood of the files over their UTF-8 bytes.

    Each file by itself: the end-of-text piece, then the file, cut into windows that each
    predict 512 tokens and see nothing before the one token that precedes them. Every
    token of the file is predicted exactly once; the end of the file is not predicted.
    """
    model.eval()
    nats, n_bytes = 0.0, 0
    for file in files:
        nats += sum(_nats(model, window) for window in windows(file_ids(tokenizer, file.text)))
        n_bytes += len(file.text.encode())
    return nats / math.log(2) / n_bytes


def file_ids(tokenizer: PreTrainedTokenizerFast, text: str) -> Tensor:
    """The file's token ids after one end-of-text id: [1 + T]."""
    # The backend's encode has no length warning, and whole files are longer than the model's window.
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    return torch.tensor([tokenizer.eos_token_id, *ids])


def windows(ids: Tensor) -> Iterator[Tensor]:
    """Windows of at most 512 predictions; neighbours share the one token between them."""
    for start in range(0, len(ids) - 1, WINDOW):
        yield ids[start : start + WINDOW + 1]


@torch.no_grad()
def _nats(model: PreTrainedModel, window: Tensor) -> float:
    logits = model(input_ids=window[None, :-1], use_cache=False).logits[0]
    return cross_entropy(logits.float(), window[1:], reduction="sum").item()
