"""Replies as bytes in a journal, and back."""

import json
import zlib
from decimal import Decimal
from typing import Any

from limbeck.core.asking import Reply, ToolCall, Usage
from limbeck.endpoint.scores_codec import packed_scores, unpacked_scores

_SMALL = 256  # bytes below which compression gains nothing
_FAST = 1  # zlib's level: a third of the time of its usual one, for a tenth more bytes


def packed(content: bytes) -> bytes:
    """JSON text, compressed where that makes it smaller."""
    return content if len(content) < _SMALL else zlib.compress(content, _FAST)


def unpacked(data: bytes) -> bytes:
    """What `packed` was given; JSON never begins as compressed data does."""
    return zlib.decompress(data) if data[:1] == b"\x78" else data


def encode(reply: Reply) -> bytes:
    """A reply without its key and whether it was kept already."""
    usage = reply.usage
    content: dict[str, Any] = {
        "text": reply.text,
        "finish": reply.finish,
        "usage": [usage.prompt, usage.cached, usage.completion, usage.reasoning, usage.estimated],
    }
    if usage.stored:
        content["usage"].append(usage.stored)
    for name in ("reasoning", "parsed", "tier"):
        if (value := getattr(reply, name)) is not None:
            content[name] = value
    if reply.hidden_reasoning:
        content["hidden_reasoning"] = True
    if reply.served_model:
        content["served_model"] = reply.served_model
    if reply.cost is not None:
        content["cost"] = str(reply.cost)
    if reply.tool_calls:
        content["tool_calls"] = [[call.name, call.arguments, call.call_id] for call in reply.tool_calls]
    for name in ("scores", "prompt_scores"):
        if (scores := getattr(reply, name)) is not None:
            content[name] = packed_scores(scores)
    # Surrogates, which a broken server may write, are kept as escapes.
    return packed(_JSON.encode(content).encode())


def decode(data: bytes, *, key: str, from_cache: bool) -> Reply:
    """The reply that `encode` was given."""
    content, _ = _DECODER.raw_decode(unpacked(data).decode())
    cost = content.get("cost")
    return Reply(
        text=content["text"],
        finish=content["finish"],
        reasoning=content.get("reasoning"),
        hidden_reasoning=content.get("hidden_reasoning", False),
        tool_calls=tuple(ToolCall(*call) for call in content.get("tool_calls", ())),
        parsed=content.get("parsed"),
        tier=content.get("tier"),
        usage=Usage(*content["usage"]),
        scores=unpacked_scores(content.get("scores")),
        prompt_scores=unpacked_scores(content.get("prompt_scores")),
        served_model=content.get("served_model", ""),
        key=key,
        cost=None if cost is None else Decimal(cost),
        from_cache=from_cache,
    )


_JSON = json.JSONEncoder(separators=(",", ":"))
_DECODER = json.JSONDecoder()
