"""What a recipe can let happen to the batches of a train step; those of `NamedTransform` in its `batches`."""

from typing import Any

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from limbeck.core.config import Config
from limbeck.recipes.batches.batch_transform import BatchTransform
from limbeck.recipes.batches.domains import Domains
from limbeck.recipes.batches.rollouts import Rollouts
from limbeck.recipes.batches.selection import UNCERTAIN, Selection
from limbeck.recipes.batches.word_dropout import WordDropout

__all__ = [
    "UNCERTAIN",
    "BatchTransform",
    "Domains",
    "NamedTransform",
    "Rollouts",
    "Selection",
    "WordDropout",
]


class NamedTransform(Config):
    """One of them with its settings: `word_dropout: {share: 0.1}`."""

    word_dropout: WordDropout | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "NamedTransform":
        if len(self._given) != 1:
            known = ", ".join(type(self).model_fields)
            raise ValueError(f"must be exactly one of {known}, got {', '.join(self._given) or 'none'}.")
        return self

    @model_serializer(mode="wrap")
    def _short(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}

    @property
    def name(self) -> str:
        """What it is called, in recipes and among `runs/assembly/transforms`."""
        return self._given[0]

    @property
    def settings(self) -> BatchTransform:
        """Its settings."""
        found: BatchTransform = getattr(self, self.name)
        return found

    @property
    def _given(self) -> list[str]:
        return [name for name in type(self).model_fields if getattr(self, name) is not None]
