"""What is asked of a model that writes, and what it gives: ids that steer it, bounds, completions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from limbeck.core.decoder_start import decoder_start
from limbeck.core.errors import ConfigError, ModelError
from limbeck.core.positions import positions_of
from limbeck.core.stops import stop_ids
from limbeck.core.targets import target_language
from limbeck.inference.steppers import plain_model

# Prompt and new tokens of all rows of a batch: about 100 MB of cache for a model of 100 M parameters.
BATCH_TOKENS = 8192


@dataclass(frozen=True)
class TokenIds:
    """The token ids that steer generation: the ids that end a completion, and the padding.

    Attributes:
        eos: ids that end a completion; empty: it always runs to `max_new_tokens`.
        pad: id that fills up shorter rows; never seen by the model.
        start: first decoder token of a seq2seq model; None: the one of the model's configuration.
        first: token that every completion of a seq2seq model begins with, such as its language; None: the
            one of the model's settings, or any.
    """

    eos: tuple[int, ...]
    pad: int = 0
    start: int | None = None
    first: int | None = None

    @classmethod
    def of(cls, tokenizer: Any, *models: Any) -> "TokenIds":
        """The ids of a transformers tokenizer and of the models that write with it.

        A completion ends at any id that ends one for the tokenizer, its chat template or one of the models
        (`core.stops`). Without a padding token, the end token pads.
        """
        plain = [plain_model(model) for model in models]
        settings = [getattr(model, "generation_config", None) for model in plain]
        eos = stop_ids(tokenizer, *settings)
        pad = int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (*eos, 0)[0])
        if not plain or not is_seq2seq(plain[0]):
            return cls(eos, pad)
        start, first = (
            getattr(settings[0], name, None) for name in ("decoder_start_token_id", "forced_bos_token_id")
        )
        return cls(
            eos,
            pad,
            start=decoder_start(plain[0].config, tokenizer) if start is None else start,
            first=target_language(tokenizer) if first is None else first,
        )


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


def check_request(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    limits: Sequence[int],
    sampling_temperature: float,
    top_p: float,
) -> None:
    """Refuse settings out of range, empty prompts, and prompts whose completion leaves the context.

    `limits` are the most new tokens of each prompt.
    """
    if min(limits, default=1) < 1:
        raise ConfigError(f"max_new_tokens must be at least 1, got {min(limits)}.")
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
    context = positions_of(model.config)
    sizes = [(len(prompt), limit) for prompt, limit in zip(prompts, limits, strict=True)]
    # Encoder and decoder of a seq2seq model have positions of their own.
    count: Callable[[tuple[int, int]], int] = max if is_seq2seq(model) else sum
    read, new = max(sizes, key=count, default=(0, 0))
    if context is not None and count((read, new)) > context:
        raise ModelError(
            f"prompt and new tokens must fit the context of {context} tokens, got {read} + "
            f"{new}. Shorten the prompts or ask for fewer new tokens."
        )


def is_seq2seq(model: Any) -> bool:
    """Whether the model has an encoder apart."""
    return bool(getattr(model.config, "is_encoder_decoder", False))
