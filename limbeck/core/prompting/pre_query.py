"""What a chat template writes before the words of a user, and after them."""

import re
from typing import TYPE_CHECKING, NamedTuple

from limbeck.core.errors import ModelError
from limbeck.core.template import applied

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_SENTINEL = "Qx0Zj9"
_MARK = re.compile(r"\s*(<[^<>\s]+>|\[/?[A-Z_]+\])")


class PreQuery(NamedTuple):
    """The edges of a user's turn.

    Attributes:
        text: all that stands before its words, without the token that begins a text: servers put it there.
        ends: the mark that ends it, if it has one.
    """

    text: str
    ends: tuple[str, ...]


def pre_query(tokenizer: "PreTrainedTokenizerBase", system: str | None = None) -> PreQuery:
    """What a model reads before a user says anything, so that it goes on as one.

    Args:
        tokenizer: with the chat template of an aligned model.
        system: prompt before the user's turn, if any.

    Raises:
        ModelError: there is no chat template, or it does not write the user's words as they are.

    Source:
        Xu et al. 2024 (Magpie), arXiv:2406.08464. magpie-align/magpie has a table of such texts
        (`configs/model_configs.json`); here they are what the template writes before a word that we know.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            f"{tokenizer.name_or_path} must have a chat template, got none. Give pre_query as text instead."
        )
    turns = [{"role": "system", "content": system}] if system else []
    text = applied([*turns, {"role": "user", "content": _SENTINEL}], tokenizer)
    if text.count(_SENTINEL) != 1:
        raise ModelError(
            f"the chat template of {tokenizer.name_or_path} must write what a user says once, as it is, got "
            f"{text.count(_SENTINEL)} times. Give pre_query as text instead."
        )
    before, _, behind = text.partition(_SENTINEL)
    mark = _MARK.match(behind)
    return PreQuery(before.removeprefix(tokenizer.bos_token or ""), (mark.group(1),) if mark else ())
