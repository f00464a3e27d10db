"""What can be known of answers before they are written: where they end."""

from typing import Any

from limbeck.core.generation_config import read_generation_config
from limbeck.core.stops import stop_ids, told_ends
from limbeck.recipes.parts import BYTES
from limbeck.runs.models import Shape


def said_of_ends(tokenizer: Any, *writers: Shape) -> str:
    """A sentence on the tokens that end what these models write."""
    return told_ends(tokenizer, stop_ids(tokenizer, *map(_settings, writers)))


def _settings(shape: Shape) -> Any:
    """What transformers will take: generation_config.json, or the configuration of a model without one."""
    word = shape.tokenizer
    saved = None if word in (BYTES, f"./{BYTES}") else read_generation_config(word)
    return shape.config if saved is None else saved
