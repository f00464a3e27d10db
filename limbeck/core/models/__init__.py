"""Models and tokenizers from a folder or the hub, and back: loaded quietly, checked, counted."""

from limbeck.core.model_words import DtypeName
from limbeck.core.models.config import (
    check_config,
    count_parameters,
    dtype_of,
    estimate_parameters,
    fresh_model,
    kind_of,
    read_config,
    said_dtype,
    saved_dtype,
)
from limbeck.core.models.fingerprint import model_fingerprint
from limbeck.core.models.load import check_weights, load_model
from limbeck.core.models.padding import pad_with
from limbeck.core.models.places import quiet_transformers
from limbeck.core.models.save import merged, save_model
from limbeck.core.models.text_part import text_part_note
from limbeck.core.models.tokenizer import load_tokenizer

__all__ = [
    "DtypeName",
    "check_config",
    "check_weights",
    "count_parameters",
    "dtype_of",
    "estimate_parameters",
    "fresh_model",
    "kind_of",
    "load_model",
    "load_tokenizer",
    "merged",
    "model_fingerprint",
    "pad_with",
    "quiet_transformers",
    "read_config",
    "said_dtype",
    "save_model",
    "saved_dtype",
    "text_part_note",
]
