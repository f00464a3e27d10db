"""A causal model asked for one token after another: with its cache, as by transformers, or anew."""

import inspect
from typing import Any, Protocol

import torch
from torch import Tensor


class Stepper(Protocol):
    """Scores of the next token of some rows; each call hands over the tokens since the last one."""

    def logits(self, tokens: Tensor, mask: Tensor, *, padded: bool) -> Tensor:
        """[B, V] in float32, of `tokens` [B, t] behind what was read; `mask` [B, T] covers all of it."""

    def keep(self, rows: Tensor) -> None:
        """Forget the other rows: the next tokens are of these alone."""


def plain_model(model: Any) -> Any:
    """The transformers model inside adapters, which live in its modules and apply all the same."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def without_cache(model: Any) -> dict[str, bool]:
    """The argument that keeps a model from making a cache; none for one that knows no cache."""
    takes = inspect.signature(plain_model(model).forward).parameters
    return {"use_cache": False} if "use_cache" in takes else {}


class Cached:
    """With an attention cache, from which rows can be taken."""

    def __init__(self, model: Any, vocabulary: int | None) -> None:
        self.model, self.vocabulary = model, vocabulary
        self.cache: Any = None
        takes = inspect.signature(plain_model(model).forward).parameters
        self.last_only = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}

    def logits(self, tokens: Tensor, mask: Tensor, *, padded: bool) -> Tensor:
        """See `Stepper`."""
        positions = _positions(mask)[:, -tokens.shape[1] :]
        answer = self.model(
            input_ids=tokens,
            attention_mask=mask if padded else None,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            **self.last_only,
        )
        self.cache = answer.past_key_values
        return _last(answer, self.vocabulary)

    def keep(self, rows: Tensor) -> None:
        """See `Stepper`."""
        self.cache.batch_select_indices(rows)


class Stateful:
    """As transformers' `generate` hands a state on, whatever it is called; rows are never taken out."""

    def __init__(self, model: Any, vocabulary: int | None) -> None:
        self.model, self.vocabulary = plain_model(model), vocabulary
        self.read: Tensor | None = None  # all rows that were begun with
        self.rows: Tensor | None = None  # those that are still asked for
        self.carried: dict[str, Any] = {"use_cache": True}
        self.takes = inspect.signature(self.model.forward).parameters

    def logits(self, tokens: Tensor, mask: Tensor, *, padded: bool) -> Tensor:
        """See `Stepper`."""
        first = self.read is None
        if self.read is None or self.rows is None:
            self.read, self.rows = tokens, torch.arange(len(tokens), device=tokens.device)
            if padded:
                positions = {"position_ids": _positions(mask)} if "position_ids" in self.takes else {}
                self.carried |= {"attention_mask": mask, **positions}
        else:
            following = self.read[:, -1:].clone()
            following[self.rows] = tokens
            self.read = torch.cat([self.read, following], dim=1)
        inputs = self.model.prepare_inputs_for_generation(
            self.read,
            next_sequence_length=None if first else 1,
            is_first_iteration=first,
            **self.carried,
        )
        answer = self.model(**inputs, return_dict=True)
        self.carried = self.model._update_model_kwargs_for_generation(answer, self.carried)
        return _last(answer, self.vocabulary)[self.rows]

    def keep(self, rows: Tensor) -> None:
        """See `Stepper`."""
        assert self.rows is not None
        self.rows = self.rows[rows]


class Anew:
    """All of every row read again for each token: for models that carry nothing on; rows of one length."""

    def __init__(self, model: Any, vocabulary: int | None) -> None:
        self.model, self.vocabulary = model, vocabulary
        self.read: Tensor | None = None

    def logits(self, tokens: Tensor, mask: Tensor, *, padded: bool) -> Tensor:
        """See `Stepper`."""
        self.read = tokens if self.read is None else torch.cat([self.read, tokens], dim=1)
        return _last(self.model(input_ids=self.read, **without_cache(self.model)), self.vocabulary)

    def keep(self, rows: Tensor) -> None:
        """See `Stepper`."""
        assert self.read is not None
        self.read = self.read[rows]


def _positions(mask: Tensor) -> Tensor:
    return (mask.cumsum(-1) - 1).clamp_min(0)


def _last(answer: Any, vocabulary: int | None) -> Tensor:
    logits: Tensor = answer.logits[:, -1, :vocabulary]
    return logits.float()
