"""Calls and answers in the form of Anthropic's Messages."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, ToolCall, Usage
from limbeck.core.asking.reply import Finish
from limbeck.core.errors import ConfigError
from limbeck.endpoint.reasoning import thoughts_of_blocks
from limbeck.endpoint.structured import asked_by
from limbeck.endpoint.transports.dialect import Dialect
from limbeck.endpoint.transports.failures import malformed
from limbeck.endpoint.transports.images import place_of, read_image

PATH = "/v1/messages"
"""Below the base URL, which ends before /v1 here."""

FINISHES: Mapping[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "interrupted": "interrupted",
}

_CACHED = {"cache_control": {"type": "ephemeral"}}


def body_of(
    request: Request, *, model: str, dialect: Dialect, cached: bool = True, stream: bool = False
) -> dict[str, Any]:
    """The JSON of a call.

    Temperature and top_p are sent where they are not 1, which is Anthropic's default and all that its newer
    models take. Thoughts of earlier turns are not sent back: they are only taken with their signatures.

    Args:
        request: what is asked, by messages.
        model: as the server names it.
        dialect: how this server wants it put.
        cached: the system turn, which requests share, is marked to be read from the cache by those after it.
        stream: in pieces.

    Raises:
        ConfigError: what the Messages form has no place for: a text, token ids, log-probabilities.
    """
    _refuse(request)
    held: dict[str, Any] = {}
    if request.schema is not None and dialect.tier == "json_schema":
        held["format"] = {"type": "json_schema", "schema": dict(request.schema)}
    elif request.schema is not None:
        request, _ = asked_by(request, "prompt")
    if request.effort is not None:
        held["effort"] = request.effort
    system, turns = _turns(request.messages, cached=cached)
    body: dict[str, Any] = {"model": model, "messages": turns, "max_tokens": request.max_tokens}
    body |= {"system": system} if system else {}
    body |= {name: value for name in ("temperature", "top_p") if (value := getattr(request, name)) != 1}
    body |= {"stop_sequences": list(request.stop)} if request.stop else {}
    body |= {"tools": [_tool(tool) for tool in request.tools]} if request.tools else {}
    body |= {"output_config": held} if held else {}
    body |= {"stream": True} if stream else {}
    twice = sorted(set(body) & set(request.extra))
    if twice:
        raise ConfigError(
            f"extra must hold fields that have no setting of their own, got {', '.join(twice)}."
        )
    return body | dict(request.extra)


def reply_of(body: Any) -> Reply:
    """The answer of a call.

    Raises:
        RequestFailed: MALFORMED without content, SEMANTIC where the model refused without a word.
    """
    blocks = body.get("content") if isinstance(body, Mapping) else None
    if not isinstance(blocks, list):
        raise malformed("no_content", "a message must have a list as content, got none.")
    told = body.get("stop_reason")
    finish: Finish = FINISHES.get(str(told), "unknown")
    thought = thoughts_of_blocks(blocks)
    calls = tuple(_call(block) for block in blocks if block.get("type") == "tool_use")
    if finish == "content_filter" and not thought.text:
        raise RequestFailed(Failure(FailureClass.SEMANTIC, "refusal", "the model refused without a word."))
    if not blocks and finish not in ("length", "stop"):
        raise malformed("no_content", f"a message must have content, got none (stop_reason {told}).")
    return Reply(
        text=thought.text,
        finish=finish,
        reasoning=thought.reasoning,
        hidden_reasoning=thought.hidden,
        tool_calls=calls,
        usage=usage_of(body.get("usage")),
        served_model=str(body.get("model") or ""),
    )


def usage_of(told: Any) -> Usage:
    """Tokens of a call. Anthropic counts what was read from the cache or stored in it apart from the rest."""
    if not isinstance(told, Mapping) or told.get("input_tokens") is None:
        return Usage(estimated=True)
    cached = int(told.get("cache_read_input_tokens") or 0)
    stored = int(told.get("cache_creation_input_tokens") or 0)
    details = told.get("output_tokens_details") or {}
    return Usage(
        prompt=int(told["input_tokens"]) + cached + stored,
        cached=cached,
        completion=int(told.get("output_tokens") or 0),
        reasoning=int(details.get("thinking_tokens") or 0),
        stored=stored,
    )


class Pieces:
    """Adds the events of a streamed message up."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {"stop_reason": None}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._arguments: dict[int, str] = {}

    @property
    def begun(self) -> bool:
        """Whether anything was written that is worth keeping."""
        return any(block.get("text") or block.get("thinking") for block in self._blocks.values()) or any(
            block.get("type") == "tool_use" for block in self._blocks.values()
        )

    @property
    def ended(self) -> bool:
        """Whether the message has said why it ended."""
        return self._message["stop_reason"] is not None

    def add(self, piece: Mapping[str, Any]) -> None:
        """One more event."""
        index = int(piece.get("index") or 0)
        match piece.get("type"):
            case "message_start":
                self._message |= piece.get("message") or {}
            case "content_block_start":
                self._blocks[index] = dict(piece.get("content_block") or {})
            case "content_block_delta":
                self._add(index, piece.get("delta") or {})
            case "message_delta":
                self._message["stop_reason"] = (piece.get("delta") or {}).get("stop_reason")
                self._message["usage"] = (self._message.get("usage") or {}) | (piece.get("usage") or {})

    def body(self, *, interrupted: bool = False) -> dict[str, Any]:
        """The message so far."""
        blocks = [
            block if index not in self._arguments else block | {"input": self._arguments[index]}
            for index, block in sorted(self._blocks.items())
        ]
        ended = {"stop_reason": "interrupted", "usage": None} if interrupted else {}
        return self._message | {"content": blocks} | ended

    def _add(self, index: int, delta: Mapping[str, Any]) -> None:
        block = self._blocks.setdefault(index, {})
        for name in ("text", "thinking", "signature"):
            if isinstance(delta.get(name), str):
                block[name] = (block.get(name) or "") + delta[name]
        if "partial_json" in delta:
            self._arguments[index] = self._arguments.get(index, "") + delta["partial_json"]


def _refuse(request: Request) -> None:
    lacking = {
        "text": request.text is not None,
        "token_ids": request.token_ids is not None,
        "logprobs": request.logprobs is not None,
        "prompt_logprobs": request.prompt_logprobs is not None,
    }
    given = [name for name, there in lacking.items() if there]
    if given:
        raise ConfigError(
            f"requests to Anthropic's Messages must be messages without log-probabilities, got "
            f"{', '.join(given)}. Ask a server in OpenAI's form (api: openai) for these."
        )


def _turns(
    messages: Sequence[Mapping[str, Any]], *, cached: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """System blocks, and turns of user and assistant in turn."""
    system: list[dict[str, Any]] = []
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = message.get("role")
        if role in ("system", "developer"):
            system += _blocks(message.get("content"))
            continue
        asked = "assistant" if role == "assistant" else "user"
        blocks = _of_tool(message) if role == "tool" else [*_blocks(message.get("content")), *_uses(message)]
        if turns and turns[-1]["role"] == asked:  # results of several tools are one turn there
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": asked, "content": blocks})
    if system and cached and not any("cache_control" in block for block in system):
        system[-1] = system[-1] | _CACHED
    return system, turns


def _blocks(content: Any) -> list[dict[str, Any]]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_block(part) for part in content]


def _block(part: Any) -> dict[str, Any]:
    place = place_of(part) if isinstance(part, Mapping) else None
    if place is None:
        return {"type": "text", "text": part} if isinstance(part, str) else dict(part)
    if place.startswith(("http://", "https://")):
        return {"type": "image", "source": {"type": "url", "url": place}}
    kind, data = read_image(place)
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _uses(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        told = function.get("arguments") or "{}"
        try:
            value = json.loads(told) if isinstance(told, str) else told
        except ValueError:
            value = {"arguments": told}  # as it was written: the form takes no text here
        found.append(
            {"type": "tool_use", "id": call.get("id") or "", "name": function.get("name"), "input": value}
        )
    return found


def _of_tool(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = _blocks(message.get("content"))
    return [{"type": "tool_result", "tool_use_id": message.get("tool_call_id") or "", "content": content}]


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = tool.get("function")
    if not isinstance(function, Mapping):
        return dict(tool)  # one of Anthropic's own
    described = {"description": function["description"]} if function.get("description") else {}
    schema = function.get("parameters") or {"type": "object", "properties": {}}
    return {"name": function.get("name"), **described, "input_schema": dict(schema)}


def _call(block: Mapping[str, Any]) -> ToolCall:
    told = block.get("input")
    arguments = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
    return ToolCall(str(block.get("name") or ""), arguments, str(block.get("id") or ""))
