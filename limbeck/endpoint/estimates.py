"""How many tokens a text has, where nobody counts them."""

from collections.abc import Mapping
from typing import Any

from limbeck.core.asking import Reply, Request

_BYTES = 3  # of UTF-8 a token: few tokenizers need more tokens than that for prose or code in any script
_TURN = 8  # tokens that a chat template adds to a turn
_MEDIA = 1_000  # tokens of an image or a sound, of which only the server knows how many it has


def estimated_tokens(request: Request) -> int:
    """Tokens of a prompt, rather too many than too few.

    Example:
        >>> from limbeck.core.asking import Request
        >>> estimated_tokens(Request(text="Once upon a time"))  # 16 bytes
        6
    """
    if request.token_ids is not None:
        return len(request.token_ids)
    if request.text is not None:
        return _of_text(request.text)
    tools = sum(_of_text(str(tool)) for tool in request.tools)
    return tools + sum(_TURN + _of_turn(turn) for turn in request.messages)


def text_tokens(reply: Reply) -> int:
    """Tokens of an answer whose server did not count them."""
    return _of_text(reply.text) + _of_text(reply.reasoning or "")


def _of_turn(turn: Mapping[str, Any]) -> int:
    content = turn.get("content") or ""
    rest = _of_text(str(turn["tool_calls"])) if turn.get("tool_calls") else 0
    if isinstance(content, str):
        return rest + _of_text(content)
    return rest + sum(_of_text(part["text"]) if "text" in part else _MEDIA for part in content)


def _of_text(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // _BYTES)
