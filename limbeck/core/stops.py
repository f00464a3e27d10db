"""Where an answer ends: the token ids at which a model stops writing."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from limbeck.core.template import TemplateError, applied

Turn = Mapping[str, Any]

# Two contents that no template knows; what follows both is the template's own.
_CONTENTS = ("qzj", "vwx")


def stop_ids(tokenizer: Any, *settings: Any) -> tuple[int, ...]:
    """Ids that end an answer: the tokenizer's end token, those of models' settings, those of the template.

    Chat models end a turn with another token than a text, and the three places disagree on which: Gemma
    names its end of a turn in generation_config.json, Phi-3 there and in its template, a base model that
    was given a template in the template alone. A model that writes any of them is done.

    Args:
        tokenizer: a transformers tokenizer.
        settings: transformers generation configs of the models that write; None is passed over.

    Returns:
        Without repetition: the tokenizer's own first; empty where nothing ends an answer.
    """
    found = [tokenizer.eos_token_id]
    for one in settings:
        ends = getattr(one, "eos_token_id", None)
        found += ends if isinstance(ends, list | tuple) else [ends]
    found += template_ends(tokenizer)
    return tuple(dict.fromkeys(int(one) for one in found if one is not None))


def template_ends(tokenizer: Any) -> tuple[int, ...]:
    """The special tokens with which the chat template ends an assistant's turn, found by rendering.

    A turn is written with two contents; behind both stands the same text, and its first special token is
    the end of the turn. Turns that call a tool may end with another token: there it is the last one,
    since marks that close the call stand before it. Empty without a template, and for one that ends turns
    in plain text.
    """
    if tokenizer.chat_template is None:
        return ()
    said = _marks(tokenizer, lambda content: {"role": "assistant", "content": content})
    called = _marks(tokenizer, _call)
    return tuple(dict.fromkeys([*said[:1], *called[-1:]]))


def told_ends(tokenizer: Any, ids: Sequence[int]) -> str:
    """A sentence on the ids, with their spelling."""
    if not ids:
        return "No token ends an answer: all run to the limit."
    listed = [f"{tokenizer.convert_ids_to_tokens(one)} ({one})" for one in ids]
    return f"Answers end at {', '.join(listed[:-1])}{' or ' if listed[1:] else ''}{listed[-1]}."


def _call(content: str) -> Turn:
    function = {"name": "f", "arguments": {"x": content}}
    return {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}


def _marks(tokenizer: Any, turn: Callable[[str], Turn]) -> list[int]:
    """Special tokens behind the content of a last turn; where none is special, another added token."""
    behind = {_behind(tokenizer, turn(content), content) for content in _CONTENTS}
    if len(behind) > 1:
        return []
    ids = tokenizer(behind.pop() or "", add_special_tokens=False)["input_ids"]
    added = tokenizer.added_tokens_decoder
    special = {*tokenizer.all_special_ids, *(one for one, token in added.items() if token.special)}
    return [one for one in ids if one in special] or [one for one in ids if one in added][-1:]


def _behind(tokenizer: Any, turn: Turn, content: str) -> str | None:
    """What the template writes behind the content; None where it refuses the turn or leaves it out."""
    try:
        text = applied([{"role": "user", "content": "a"}, turn], tokenizer)
    except TemplateError:  # one that has no calls says so in its own way
        return None
    _, found, after = text.rpartition(content)
    return after if found else None
