"""Completions of many prompts by one model, in the order of the prompts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from limbeck.core.errors import ConfigError, ModelError
from limbeck.core.seeds import derived_seed
from limbeck.core.stops import stop_ids

# Prompt and new tokens of all rows of a batch: about 100 MB of cache for a model of 100 M parameters.
BATCH_TOKENS = 8192


@dataclass(frozen=True)
class TokenIds:
    """The token ids that steer generation: the ids that end a completion, and the padding.

    Attributes:
        eos: ids that end a completion; empty: it always runs to `max_new_tokens`.
        pad: id that fills up shorter rows; never seen by the model.
        start: first decoder token of a seq2seq model; None: the one of the model's configuration.
    """

    eos: tuple[int, ...]
    pad: int = 0
    start: int | None = None

    @classmethod
    def of(cls, tokenizer: Any, *models: Any) -> "TokenIds":
        """The ids of a transformers tokenizer and of the models that write with it.

        A completion ends at any id that ends one for the tokenizer, its chat template or one of the models
        (`core.stops`). Without a padding token, the end token pads.
        """
        eos = stop_ids(tokenizer, *(getattr(_plain(model), "generation_config", None) for model in models))
        pad = tokenizer.pad_token_id
        return cls(eos, int(pad) if pad is not None else (eos[0] if eos else 0))


@dataclass(frozen=True)
class Completion:
    """What a model wrote for one prompt.

    Attributes:
        ids: the new tokens; when `stopped`, the last one is the end token, and nothing follows it.
        stopped: whether the model ended by itself before `max_new_tokens` ran out.
    """

    ids: list[int]
    stopped: bool

    @property
    def content(self) -> list[int]:
        """The new tokens without the end token."""
        return self.ids[:-1] if self.stopped else self.ids


def generate(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    tokenizer_or_ids: Any,
    max_new_tokens: int,
    sampling_temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int = 0,
    batch_tokens: int = BATCH_TOKENS,
    vocabulary: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> list[Completion]:
    """Let the model complete every prompt, greedily or by sampling.

    Greedy completions do not depend on which prompts share a batch (up to rounding of nearly equal
    scores); sampled ones do, and repeat with the same seed, prompts and `batch_tokens`. The
    sampling settings stored with the model play no part.

    Args:
        model: a causal model, or a seq2seq model (then the prompts go to the encoder).
        prompts: token ids of each prompt, without padding.
        tokenizer_or_ids: a tokenizer, or `TokenIds`.
        max_new_tokens: at most this many new tokens, the end token included.
        sampling_temperature: 0 takes the likeliest token; above 0 divides the logits, then samples.
        top_p: samples from the smallest set of tokens with this probability.
        seed: of the sampling; the global generators are left as they were.
        batch_tokens: bound of rows x (longest prompt + `max_new_tokens`) in a batch.
        vocabulary: ids from here on (padding of the head) are never written; None: all may be.
        progress: called with the share of prompts that is done.

    Returns:
        One completion for each prompt, in order.

    Raises:
        ConfigError: a setting is out of range, or a prompt is empty.
        ModelError: a prompt and its completion do not fit the context of the model.
    """
    ids = tokenizer_or_ids if isinstance(tokenizer_or_ids, TokenIds) else TokenIds.of(tokenizer_or_ids, model)
    check_request(model, prompts, max_new_tokens, sampling_temperature, top_p)
    config = _clean_config(ids, max_new_tokens, sampling_temperature, top_p)
    processors = LogitsProcessorList([] if vocabulary is None else [_OnlyFirst(vocabulary)])
    completions: dict[int, Completion] = {}
    with _evaluating(model, config) as plain:
        for batch in length_batches([len(prompt) for prompt in prompts], max_new_tokens, batch_tokens):
            inputs = left_padded(
                [prompts[place] for place in batch], ids.pad, next(plain.parameters()).device
            )
            with _seeded(derived_seed(seed, "generate", len(completions)), inputs["input_ids"].device):
                written = plain.generate(**inputs, generation_config=config, logits_processor=processors)
            # A causal model repeats the prompt, a seq2seq model its start token.
            skipped = 1 if is_seq2seq(plain) else inputs["input_ids"].shape[1]
            for place, row in zip(batch, written[:, skipped:].tolist(), strict=True):
                completions[place] = _completion(row, ids.eos)
            if progress is not None:
                progress(len(completions) / len(prompts))
    return [completions[place] for place in range(len(prompts))]


def check_request(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    sampling_temperature: float,
    top_p: float,
) -> None:
    """Refuse settings out of range, empty prompts, and prompts whose completion leaves the context."""
    if max_new_tokens < 1:
        raise ConfigError(f"max_new_tokens must be at least 1, got {max_new_tokens}.")
    if not 0 <= sampling_temperature < float("inf"):
        raise ConfigError(
            f"sampling_temperature must be 0 or above, got {sampling_temperature}. Use 0 for greedy."
        )
    if not 0 < top_p <= 1:
        raise ConfigError(f"top_p must lie in (0, 1], got {top_p}. Use 1 to sample from all tokens.")
    empty = [place for place, prompt in enumerate(prompts) if not prompt]
    if empty:
        raise ConfigError(
            f"prompts must hold at least one token, got none in prompt {empty[0]}"
            f" ({len(empty)} such in all). Start them with the tokenizer's first token."
        )
    context, longest = _context(model), max(map(len, prompts), default=0)
    needed = longest if is_seq2seq(model) else longest + max_new_tokens
    if context is not None and needed > context:
        raise ModelError(
            f"prompt and new tokens must fit the context of {context} tokens, got {longest} + "
            f"{max_new_tokens}. Shorten the prompts or ask for fewer new tokens."
        )


def is_seq2seq(model: Any) -> bool:
    """Whether the model has an encoder apart."""
    return bool(getattr(model.config, "is_encoder_decoder", False))


def _plain(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _context(model: Any) -> int | None:
    # T5's relative positions have no end, and its configuration no such field.
    config = model.config.get_text_config() if hasattr(model.config, "get_text_config") else model.config
    return getattr(config, "max_position_embeddings", None)


def _clean_config(
    ids: TokenIds, max_new_tokens: int, sampling_temperature: float, top_p: float
) -> GenerationConfig:
    sampling = {"temperature": sampling_temperature, "top_p": top_p, "top_k": 0, "do_sample": True}
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=list(ids.eos) or None,
        pad_token_id=ids.pad,
        decoder_start_token_id=ids.start,
        use_cache=True,
        **(sampling if sampling_temperature > 0 else {"do_sample": False}),
    )


@contextmanager
def _evaluating(model: Any, config: GenerationConfig) -> Iterator[Any]:
    # generate() fills what a configuration leaves open from the one stored with the model: that one
    # steps aside meanwhile.
    plain = _plain(model)
    stored, modes = plain.generation_config, [(module, module.training) for module in model.modules()]
    start = config.decoder_start_token_id
    if start is None and is_seq2seq(plain):
        config.decoder_start_token_id = stored.decoder_start_token_id
        if config.decoder_start_token_id is None:
            config.decoder_start_token_id = plain.config.decoder_start_token_id
    plain.generation_config = GenerationConfig()
    model.eval()
    try:
        with torch.no_grad():
            yield plain
    finally:
        plain.generation_config = stored
        for module, mode in modes:
            module.training = mode


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class _OnlyFirst(LogitsProcessor):
    """Forbids the ids from `vocabulary` on."""

    def __init__(self, vocabulary: int) -> None:
        self.vocabulary = vocabulary

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        scores = scores.clone()
        scores[:, self.vocabulary :] = -torch.inf
        return scores


def length_batches(lengths: Sequence[int], new: int, batch_tokens: int) -> Iterator[list[int]]:
    """Places of prompts, longest first, so that too large a batch fails at once and padding is small."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: -lengths[place]):
        if batch and (len(batch) + 1) * (lengths[batch[0]] + new) > batch_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def left_padded(prompts: Sequence[Sequence[int]], pad: int, device: torch.device) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask` [B, T], padding on the left."""
    longest = max(map(len, prompts))
    padded = [[pad] * (longest - len(prompt)) + list(prompt) for prompt in prompts]
    mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
    return {
        "input_ids": torch.tensor(padded, device=device),
        "attention_mask": torch.tensor(mask, device=device),
    }


def _completion(row: list[int], eos: tuple[int, ...]) -> Completion:
    ends = [place for place, token in enumerate(row) if token in eos]
    return Completion(row[: ends[0] + 1], True) if ends else Completion(row, False)
