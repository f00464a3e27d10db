"""What an encoder-decoder model must write, as its tokenizer makes it.

BART's targets begin with a begin token, mBART-50's and NLLB's with a language, mBART's end with one, T5's
and Marian's have an end token only.
"""

from collections.abc import Sequence
from typing import Any

_PROBE = "a"


def encode_targets(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Ids of every text as a target, with the tokenizer's own marks around it, `target_marks`."""
    if not texts:
        return []
    encoded = tokenizer(text_target=list(texts), return_attention_mask=False, verbose=False)["input_ids"]
    return [list(ids) for ids in encoded]


def target_marks(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that a tokenizer puts before and behind a target; both empty where it adds none."""
    whole, inner = (
        list(tokenizer(text_target=_PROBE, add_special_tokens=marked)["input_ids"])
        for marked in (True, False)
    )
    start = next((k for k in range(len(whole)) if whole[k : k + len(inner)] == inner), len(whole))
    return whole[:start], whole[start + len(inner) :]


def target_language(tokenizer: Any) -> int | None:
    """The language that targets begin with, for a tokenizer that has languages and puts them first."""
    if not hasattr(tokenizer, "tgt_lang"):
        return None
    before, _ = target_marks(tokenizer)
    return before[0] if before else None
