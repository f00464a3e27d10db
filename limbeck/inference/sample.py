"""Rollouts: completions drawn from a causal model, or token by token from a mixture of it and a guide.

Beside `generate`, which leaves decoding to transformers: here rows that have stopped leave the
batch, and two models can write together.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from limbeck.core.errors import ConfigError, ModelError
from limbeck.core.seeds import derived_seed, generator
from limbeck.inference.batches import length_batches, pad_rows
from limbeck.inference.request import (
    BATCH_TOKENS,
    Completion,
    TokenIds,
    check_request,
    is_seq2seq,
)
from limbeck.inference.steppers import Anew, Stepper
from limbeck.inference.stepping import stepping
from limbeck.inference.ways import long_rope_start

_STOPPED_SHARE = 0.25  # of the rows held: from here on it is worth copying the cache without them


def sample(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    tokenizer_or_ids: Any,
    max_new_tokens: int | Sequence[int],
    sampling_temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    batch_tokens: int = BATCH_TOKENS,
    vocabulary: int | None = None,
    guide: nn.Module | None = None,
    guide_share: float = 0.0,
    progress: Callable[[float], None] | None = None,
) -> list[Completion]:
    """Draw one completion for every prompt, each token from (1 - guide_share) * model + guide_share * guide.

    Repeats with the same seed, prompts and `batch_tokens`; no global generator is touched, and
    models are put back into the mode they were in.

    Args:
        model: causal.
        prompts: token ids of each prompt, without padding.
        tokenizer_or_ids: a tokenizer, or `TokenIds`; without an end token, completions always run to
            `max_new_tokens`.
        max_new_tokens: at most this many new tokens, the end token included; or for each prompt its own.
        sampling_temperature: divides both models' logits; 0 takes the likeliest token.
        top_p: draws from the smallest set of tokens with this probability.
        seed: of the draws, which follow one another through a batch.
        seeds: one for each prompt in its place: a draw then does not depend on what else is in its batch
            (up to rounding of the model's scores).
        batch_tokens: bound of rows x (longest prompt + `max_new_tokens`) in a batch.
        vocabulary: ids from here on are never written; None: all may be.
        guide: another causal model over the same vocabulary (MiniLLM's teacher).
        guide_share: its share in every token's distribution, in [0, 1].
        progress: called with the share of prompts that is done.

    Returns:
        One completion for each prompt, in order; nothing follows an end token.

    Raises:
        ConfigError: a setting is out of range, or a prompt is empty.
        ModelError: a prompt and its completion do not fit the context, or a model is not causal.

    Source:
        Mixing by token: Gu et al. 2024, arXiv:2306.08543, section 2.2 (alpha 0.2).
    """
    writing = [one for one in (model, guide) if one is not None]
    ids = (
        tokenizer_or_ids
        if isinstance(tokenizer_or_ids, TokenIds)
        else TokenIds.of(tokenizer_or_ids, *writing)
    )
    limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else list(max_new_tokens)
    check_request(model, prompts, limits, sampling_temperature, top_p)
    new = max(limits, default=1)
    if not 0 <= guide_share <= 1 or (guide_share > 0 and guide is None):
        raise ConfigError(f"guide_share must lie in [0, 1], and be 0 without a guide, got {guide_share}.")
    models = [(model, 1 - guide_share)] + (
        [(guide, guide_share)] if guide is not None and guide_share else []
    )
    if any(is_seq2seq(one) for one, _ in models):
        raise ModelError("rollouts need causal models, got one with an encoder. Use a generate step.")
    completions: dict[int, Completion] = {}
    with _resting([one for one, _ in models]), torch.no_grad():
        ways = [stepping(one) for one, _ in models]
        lengths = [len(prompt) for prompt in prompts]
        turn = min(filter(None, (long_rope_start(one) for one, _ in models)), default=None)
        turns = turn is not None and max(lengths, default=0) + new > turn
        equal = turns or not all(way.padded for way in ways)
        for batch in length_batches(lengths, new, batch_tokens, equal=equal):
            device = next(model.parameters()).device
            random = torch.Generator(device=device)
            random.manual_seed(derived_seed(seed, "sample", len(completions)))
            # Keys that were kept before other rotary factors set in would not fit those behind.
            anew = turn is not None and lengths[batch[0]] <= turn < lengths[batch[0]] + new
            writers = [
                _Writer((Anew if anew else way.stepper)(one, vocabulary), share)
                for way, (one, share) in zip(ways, models, strict=True)
            ]
            numbers = None if seeds is None else _numbers([seeds[place] for place in batch], new, device)
            draw = _Draw(sampling_temperature, top_p, random, numbers)
            inputs = pad_rows([prompts[place] for place in batch], ids.pad, device)
            rows = _write(writers, inputs, ids.eos, [limits[place] for place in batch], draw)
            completions.update(zip(batch, rows, strict=True))
            if progress is not None:
                progress(len(completions) / len(prompts))
    return [completions[place] for place in range(len(prompts))]


def _write(
    writers: Sequence["_Writer"],
    inputs: dict[str, Tensor],
    eos: tuple[int, ...],
    limits: Sequence[int],
    draw: "_Draw",
) -> list[Completion]:
    tokens, mask = inputs["input_ids"], inputs["attention_mask"]
    rows: list[list[int]] = [[] for _ in range(len(tokens))]
    stopped = [False] * len(tokens)
    full = [False] * len(tokens)
    held = list(range(len(tokens)))  # the rows that the cache still has, those that are done among them
    ends = torch.tensor(eos, device=tokens.device, dtype=torch.long)
    # Rows of one length need no mask, and attention is faster without.
    padded = bool((mask == 0).any())
    for step in range(max(limits)):
        tokens = draw(writers, tokens, mask, padded=padded, at=(held, step))
        for place, token, ended in zip(held, tokens.tolist(), torch.isin(tokens, ends).tolist(), strict=True):
            if not (stopped[place] or full[place]):
                rows[place].append(token)
                stopped[place], full[place] = ended, len(rows[place]) == limits[place]
        kept = [number for number, place in enumerate(held) if not (stopped[place] or full[place])]
        if not kept:
            break
        if len(kept) <= (1 - _STOPPED_SHARE) * len(held):
            chosen = torch.tensor(kept, device=tokens.device)
            held, tokens, mask = [held[number] for number in kept], tokens[chosen], mask[chosen]
            for writer in writers:
                writer.stepper.keep(chosen)
        tokens, mask = tokens[:, None], torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    return [Completion(row, end) for row, end in zip(rows, stopped, strict=True)]


@dataclass(frozen=True)
class _Writer:
    """One model while it writes, and its share in every token."""

    stepper: Stepper
    share: float


class _Draw:
    """Draws the next token of every row."""

    def __init__(
        self, sampling_temperature: float, top_p: float, random: torch.Generator, numbers: Tensor | None
    ) -> None:
        self.sampling_temperature, self.top_p, self.random = sampling_temperature, top_p, random
        self.numbers = numbers

    def __call__(
        self,
        writers: Sequence[_Writer],
        tokens: Tensor,
        mask: Tensor,
        *,
        padded: bool,
        at: tuple[Sequence[int], int],
    ) -> Tensor:
        """The tokens of the rows whose places in the batch `at` says, beside the number of this step."""
        warmth = self.sampling_temperature or 1.0
        scores = [writer.stepper.logits(tokens, mask, padded=padded) / warmth for writer in writers]
        if len(writers) == 1 and not self.sampling_temperature:
            return scores[0].argmax(-1)
        probabilities = sum(
            writer.share * score.softmax(-1) for writer, score in zip(writers, scores, strict=True)
        )
        assert isinstance(probabilities, Tensor)
        if not self.sampling_temperature:
            return probabilities.argmax(-1)
        if self.top_p < 1:
            probabilities = _nucleus(probabilities, self.top_p)
        if self.numbers is None:
            return _drawn(probabilities, self.random)
        return _drawn(probabilities, self.random, self.numbers[list(at[0]), at[1]])


def _numbers(seeds: Sequence[int], new: int, device: torch.device) -> Tensor:
    """[B, new] what each row draws with, in [0, 1): a stream of its own."""
    streams = np.stack([generator(seed, "sample").random(new) for seed in seeds])
    return torch.from_numpy(streams).to(device, _wide(device))


def _wide(device: torch.device) -> torch.dtype:
    return torch.float32 if device.type == "mps" else torch.float64


def _drawn(probabilities: Tensor, random: torch.Generator, numbers: Tensor | None = None) -> Tensor:
    """[B] one outcome of each row, by inverting the distribution function; rows need not add up to 1.

    `torch.multinomial` draws a number for every outcome: 15 times as long at [16, 32000] on a CPU.
    Float64, or outcomes far into a large vocabulary would be as likely as the rounding lets them.
    `numbers` [B] in [0, 1) stand in the place of drawn ones.
    """
    device = probabilities.device
    wide = _wide(device)
    below = probabilities.cumsum(-1, dtype=wide)
    total = below[:, -1:]
    if numbers is None:
        uniform = torch.rand(total.shape, generator=random, device=device, dtype=wide)
    else:
        uniform = numbers[:, None]
    # Rounding may reach the total itself, which no outcome lies above.
    places = torch.minimum(uniform * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(below, places, right=True).squeeze(-1)


def nucleus_mass(probabilities: Tensor, top_p: float) -> Tensor:
    """[...] the mass of probabilities [..., V] that nucleus sampling draws from, at least `top_p`."""
    return _nucleus(probabilities, top_p).sum(-1)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Without the tokens outside the smallest set of probability `top_p`; not normalised."""
    ordered, order = probabilities.sort(-1, descending=True)
    before = ordered.cumsum(-1) - ordered
    return probabilities.scatter(-1, order, ordered.masked_fill(before >= top_p, 0.0))


@contextmanager
def _resting(models: Sequence[nn.Module]) -> Iterator[None]:
    """Models without dropout, and in their modes again afterwards."""
    modes = [(module, module.training) for model in models for module in model.modules()]
    for model in models:
        model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
