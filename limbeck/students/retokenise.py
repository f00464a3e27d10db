"""A model carried over to another tokenizer: embeddings and head for the new vocabulary."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from limbeck.core.errors import ModelError
from limbeck.core.models import fresh_model
from limbeck.core.seeds import generator
from limbeck.core.token_bytes import token_bytes
from limbeck.students.rebuild import rebuilt

# What a special token of the new vocabulary is for, the weightiest first, and whose place it may take.
_ROLES = {"eos": ("eos",), "bos": ("bos", "eos"), "pad": ("pad", "eos"), "unk": ("unk",)}
_IDS = ("bos", "eos", "pad")
# Settings of generation that name token ids of the old vocabulary.
_NAMING_IDS = (
    "suppress_tokens",
    "begin_suppress_tokens",
    "bad_words_ids",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "sequence_bias",
)


def retokenise(
    model: PreTrainedModel,
    old_tokenizer: PreTrainedTokenizerBase,
    new_tokenizer: PreTrainedTokenizerBase,
    *,
    seed: int,
) -> PreTrainedModel:
    """A copy of a causal model that reads and writes the tokens of another tokenizer.

    Fast vocabulary transfer: a token whose bytes the old vocabulary has keeps its embedding; any other
    starts at the mean embedding of the old tokens that its bytes are made of. Special tokens take the
    embedding of the old one with their role (end, begin, padding, unknown), or else their spelling. What
    remains is drawn from a normal distribution with mean and standard deviation of the old embeddings,
    dimension by dimension. The head is carried over in the same way, its bias too; a tied head stays tied.
    All other weights are equal.

    Args:
        model: a plain causal transformers model, left as it is.
        old_tokenizer: that the model was trained with.
        new_tokenizer: with an end token; the new vocabulary has as many ids as it, without padding.
        seed: of what is drawn.

    Raises:
        ModelError: no causal model, an embedding smaller than the old vocabulary, or a new tokenizer
            without an end token.

    Source:
        Gee et al. 2022, EMNLP industry track, `2022.emnlp-industry.41`; compared with
        bminixhofer/tokenkit@2e77604, `tokenkit/utils.py:fvt`, which compares spellings of byte-level
        vocabularies where we compare bytes, and lets the begin token win over the end token where the
        new vocabulary has one token for both.
    """
    _check(model, old_tokenizer, new_tokenizer)
    sources = token_sources(old_tokenizer, new_tokenizer)
    config = with_tokenizer(model.config, new_tokenizer)
    known = len(token_bytes(old_tokenizer))
    weights = model.state_dict()
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings()
    moved = {"embedding": _moved(embedding[:known], sources, seed, "embedding")}
    if head.weight.data_ptr() != embedding.data_ptr():
        moved["head"] = _moved(head.weight[:known], sources, seed, "head")
    for name, weight in weights.items():
        if weight.data_ptr() == embedding.data_ptr():
            weights[name] = moved["embedding"]
        elif weight.data_ptr() == head.weight.data_ptr():
            weights[name] = moved["head"]
        elif getattr(head, "bias", None) is not None and weight.data_ptr() == head.bias.data_ptr():
            weights[name] = _moved(head.bias[:known, None], sources, seed, "bias")[:, 0]
    _check_shapes(model, config, weights)
    made = rebuilt(model, config, weights)
    _set_generation_ids(made.generation_config, new_tokenizer)
    return made


def token_sources(
    old_tokenizer: PreTrainedTokenizerBase, new_tokenizer: PreTrainedTokenizerBase
) -> list[list[int]]:
    """For every id of the new vocabulary, the old ids whose mean stands for it; empty where none does."""
    old, new = token_bytes(old_tokenizer), token_bytes(new_tokenizer)
    old_ids = old_tokenizer.get_vocab()
    found: list[list[int]] = [[] for _ in new]
    # Of several tokens with equal bytes the last is the one in use: fallback bytes come before pieces.
    at = {spelt: index for index, spelt in enumerate(old) if spelt}
    parts: list[int] = []
    for token, index in new_tokenizer.get_vocab().items():
        same = old_ids.get(token)
        if same is not None and old[same] == new[index]:
            found[index] = [same]
        elif new[index] in at:
            found[index] = [at[new[index]]]
        elif new[index]:
            parts.append(index)
    for index, ids in zip(parts, _cut([new[index] for index in parts], old_tokenizer, old, at), strict=True):
        found[index] = ids
    for role, stand_ins in reversed(_ROLES.items()):  # the weightiest role of a token has the last word
        index = getattr(new_tokenizer, f"{role}_token_id")
        ids = [getattr(old_tokenizer, f"{name}_token_id") for name in stand_ins]
        given = [one for one in ids if one is not None]
        if index is not None and given:
            found[index] = given[:1]
    return found


def with_tokenizer(config: PreTrainedConfig, tokenizer: PreTrainedTokenizerBase) -> PreTrainedConfig:
    """A copy of a configuration with the vocabulary size and the special ids of a tokenizer."""
    config = copy.deepcopy(config)
    for part in {id(part): part for part in (config, config.get_text_config())}.values():
        if hasattr(part, "vocab_size"):
            part.vocab_size = len(token_bytes(tokenizer))
        for name in _IDS:
            if hasattr(part, f"{name}_token_id"):
                setattr(part, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    return config


def _check(model: Any, old_tokenizer: Any, new_tokenizer: Any) -> None:
    name = type(model).__name__
    if not isinstance(model, PreTrainedModel):
        raise ModelError(f"model must be a plain transformers model, got {name}. Merge its adapters first.")
    head = model.get_output_embeddings()
    if head is None or model.config.is_encoder_decoder or not hasattr(head, "weight"):
        raise ModelError(
            f"model must be a causal one with an embedding and a head over its vocabulary, got {name}. Only "
            "such a student can take another tokenizer with its weights; one of another kind starts fresh."
        )
    if new_tokenizer.eos_token_id is None:
        raise ModelError(
            f"the new tokenizer must have an end token, got none in {new_tokenizer.name_or_path or 'it'}; a "
            "student could not learn to stop. Set eos_token in its tokenizer_config.json."
        )
    rows, known = len(model.get_input_embeddings().weight), len(token_bytes(old_tokenizer))
    if rows < known:
        raise ModelError(
            f"the embedding of {name} must have a row for each of its tokenizer's {known:,} ids, got "
            f"{rows:,}. Take the tokenizer it was trained with."
        )


def _check_shapes(model: Any, config: Any, weights: Mapping[str, Tensor]) -> None:
    """Refuse an architecture that holds more by token than its embedding and its head."""
    with torch.device("meta"):
        wanted = fresh_model(config, "causal").state_dict()
    other = [
        name for name, weight in wanted.items() if name in weights and weights[name].shape != weight.shape
    ]
    if other:
        raise ModelError(
            f"model must hold nothing by token but its embedding and its head, got {', '.join(other)} in "
            f"{type(model).__name__}. Choose a student of another architecture."
        )


def _cut(
    wanted: Sequence[bytes], tokenizer: Any, old: Sequence[bytes], at: Mapping[bytes, int]
) -> Iterator[list[int]]:
    """Old ids whose bytes joined are each of `wanted`: as the old tokenizer cuts it, or the longest first."""
    texts = [spelt.decode("utf-8", errors="replace") for spelt in wanted]
    # SentencePiece puts a space of its own before a text: without ours, there is one.
    both = [*texts, *(text.removeprefix(" ") for text in texts)]
    encoded = tokenizer(both, add_special_tokens=False)["input_ids"] if both else []
    longest = max(map(len, at), default=0)
    for spelt, *tries in zip(wanted, encoded[: len(texts)], encoded[len(texts) :], strict=True):
        exact = [ids for ids in tries if ids and b"".join(old[index] for index in ids) == spelt]
        yield exact[0] if exact else _longest_first(spelt, at, longest)


def _longest_first(spelt: bytes, at: Mapping[bytes, int], longest: int) -> list[int]:
    ids, start = [], 0
    while start < len(spelt):
        stops = range(min(len(spelt), start + longest), start, -1)
        stop = next((stop for stop in stops if spelt[start:stop] in at), None)
        if stop is None:
            return []
        ids.append(at[spelt[start:stop]])
        start = stop
    return ids


def _moved(old: Tensor, sources: Sequence[Sequence[int]], seed: int, what: str) -> Tensor:
    """Rows [V', D] of the new vocabulary from those of the old one [V, D]; means in float64."""
    rows = old.detach().double().cpu()
    mean, std = rows.mean(0).numpy(), rows.std(0, correction=0).numpy()
    random = generator(seed, "retokenise", what)
    found = [
        rows[list(ids)].mean(0) if ids else torch.from_numpy(np.asarray(random.normal(mean, std)))
        for ids in sources
    ]
    return torch.stack(found).to(old)


def _set_generation_ids(settings: Any, tokenizer: Any) -> None:
    if settings is None:
        return
    for name in _IDS:
        setattr(settings, f"{name}_token_id", getattr(tokenizer, f"{name}_token_id"))
    for name in _NAMING_IDS:
        if getattr(settings, name, None) is not None:
            setattr(settings, name, None)
