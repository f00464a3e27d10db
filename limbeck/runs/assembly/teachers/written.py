"""What a model wrote, as text."""

from collections.abc import Sequence
from typing import Any

from limbeck.rows.marks import THOUGHT_TAGS


def text_of(ids: Sequence[int], tokenizer: Any) -> str:
    """What a model wrote, without control tokens, but with the tags that bound its thoughts."""
    added = tokenizer.added_tokens_decoder
    unseen = {*tokenizer.all_special_ids, *(one for one, token in added.items() if token.special)}
    unseen -= {one for one, token in added.items() if str(token) in THOUGHT_TAGS}
    return str(tokenizer.decode([one for one in ids if one not in unseen]))
