"""Completions of many prompts by one model, in the order of the prompts."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from limbeck.core.seeds import derived_seed
from limbeck.inference.batches import length_batches, pad_rows
from limbeck.inference.request import BATCH_TOKENS, Completion, TokenIds, check_request, is_seq2seq
from limbeck.inference.sample import sample
from limbeck.inference.steppers import plain_model, without_cache
from limbeck.inference.ways import Probe, first_faithful, long_rope_start

_NEVER = ("suppress_tokens", "begin_suppress_tokens", "bad_words_ids")
_BEGINNING = ("decoder_start_token_id", "forced_bos_token_id")


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
    sampling settings stored with the model play no part; tokens that it must begin with or never write do.

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
    check_request(model, prompts, [max_new_tokens] * len(prompts), sampling_temperature, top_p)
    config = _clean_config(ids, max_new_tokens, sampling_temperature, top_p)
    processors = LogitsProcessorList([] if vocabulary is None else [_OnlyFirst(vocabulary)])
    completions: dict[int, Completion] = {}
    with _evaluating(model, config) as plain:
        way = _way(plain, config)
        if way is None:
            return sample(
                model,
                prompts,
                tokenizer_or_ids=ids,
                max_new_tokens=max_new_tokens,
                sampling_temperature=sampling_temperature,
                top_p=top_p,
                seed=seed,
                batch_tokens=batch_tokens,
                vocabulary=vocabulary,
                progress=progress,
            )
        config.use_cache = way.cache
        lengths, turn = [len(prompt) for prompt in prompts], long_rope_start(plain)
        turns = turn is not None and max(lengths, default=0) + max_new_tokens > turn
        for batch in length_batches(lengths, max_new_tokens, batch_tokens, equal=turns or not way.padded):
            rows, device = [prompts[place] for place in batch], next(plain.parameters()).device
            inputs = pad_rows(rows, ids.pad, device, side="right" if is_seq2seq(plain) else "left")
            with _seeded(derived_seed(seed, "generate", len(completions)), inputs["input_ids"].device):
                written = plain.generate(**inputs, generation_config=config, logits_processor=processors)
            # A causal model repeats the prompt, a seq2seq model its start token.
            skipped = 1 if is_seq2seq(plain) else inputs["input_ids"].shape[1]
            for place, row in zip(batch, written[:, skipped:].tolist(), strict=True):
                completions[place] = _completion(row, ids.eos)
            if progress is not None:
                progress(len(completions) / len(prompts))
    return [completions[place] for place in range(len(prompts))]


class _Way(NamedTuple):
    """Whether transformers writes with a cache, and whether prompts of different lengths share a batch."""

    cache: bool
    padded: bool


_WAYS = (_Way(True, True), _Way(True, False), _Way(False, True), _Way(False, False))


def _way(plain: Any, config: GenerationConfig) -> _Way | None:
    """How transformers' `generate` gives each prompt what it gets alone; None: not at all."""
    is_causal = not is_seq2seq(plain)
    start, device = config.decoder_start_token_id, next(plain.parameters()).device

    def write(way: _Way, rows: list[list[int]], new: int) -> Probe:
        settings = GenerationConfig(
            max_new_tokens=new,
            pad_token_id=config.pad_token_id,
            decoder_start_token_id=start,
            use_cache=way.cache,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        inputs = pad_rows(rows, config.pad_token_id, device, side="left" if is_causal else "right")
        answer = plain.generate(**inputs, generation_config=settings)
        return Probe(answer.sequences[:, -new:], torch.stack(answer.logits, 1))

    def alone(row: list[int], new: Tensor) -> Tensor:
        before = new.tolist()[:-1]
        if is_causal:
            read = {"input_ids": [[*row, *before]]}
        else:
            read = {"input_ids": [row], "decoder_input_ids": [[start, *before]]}
        inputs = {name: torch.tensor(ids, device=device) for name, ids in read.items()}
        logits: Tensor = plain(**inputs, **without_cache(plain)).logits[0, -len(new) :]
        return logits

    found = first_faithful(plain, _WAYS, write=write, alone=alone, is_padded=lambda way: way.padded)
    return found if found or is_causal else _WAYS[-1]


def _clean_config(
    ids: TokenIds, max_new_tokens: int, sampling_temperature: float, top_p: float
) -> GenerationConfig:
    sampling = {"temperature": sampling_temperature, "top_p": top_p, "top_k": 0, "do_sample": True}
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=list(ids.eos) or None,
        pad_token_id=ids.pad,
        decoder_start_token_id=ids.start,
        forced_bos_token_id=ids.first,
        use_cache=True,
        **(sampling if sampling_temperature > 0 else {"do_sample": False}),
    )


@contextmanager
def _evaluating(model: Any, config: GenerationConfig) -> Iterator[Any]:
    # generate() fills what a configuration leaves open from the one stored with the model: that one
    # steps aside meanwhile.
    plain = plain_model(model)
    stored, modes = plain.generation_config, [(module, module.training) for module in model.modules()]
    _take_over(stored, config, plain)
    plain.generation_config = GenerationConfig()
    model.eval()
    try:
        with torch.no_grad():
            yield plain
    finally:
        plain.generation_config = stored
        for module, mode in modes:
            module.training = mode


def _take_over(stored: GenerationConfig, config: GenerationConfig, plain: Any) -> None:
    """What a model's own settings say of tokens and not of taste: where to begin, and what never to write."""
    names = _NEVER + (_BEGINNING if is_seq2seq(plain) else ())
    for name in names:
        if getattr(config, name) is None:
            setattr(config, name, getattr(stored, name))
    if is_seq2seq(plain) and config.decoder_start_token_id is None:
        config.decoder_start_token_id = plain.config.decoder_start_token_id


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


def _completion(row: list[int], eos: tuple[int, ...]) -> Completion:
    ends = [place for place, token in enumerate(row) if token in eos]
    return Completion(row[: ends[0] + 1], True) if ends else Completion(row, False)
