"""Units of a mean: tokens, sequences, batches or chunks of text, counted over a whole optimizer step."""

from enum import StrEnum


class Unit(StrEnum):
    """What a term's mean runs over."""

    TOKEN = "token"
    SEQUENCE = "sequence"
    BATCH = "batch"
    CHUNK = "chunk"
