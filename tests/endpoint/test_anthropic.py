"""The transport for Anthropic's Messages against a server of ours that speaks the same."""

import asyncio
import json
import warnings
from typing import Any

import pytest

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, ToolCall, Usage
from limbeck.core.errors import ConfigError
from limbeck.endpoint.secret import Secret
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transports.anthropic import AnthropicTransport
from tests.endpoint.wire import CLOSE, Wire, answer, stream, wire

pytest.importorskip("anthropic")

SYSTEM = {"role": "system", "content": "Be brief."}
QUESTION = Request(messages=(SYSTEM, {"role": "user", "content": "2 + 2?"}), max_tokens=8)
TIMES = Timeouts(connect=1, first=2, idle=0.2)
KEY = "sk-ant-very-secret-0123456789"


def over_the_wire(
    *script: Any, request: Request = QUESTION, seed: int | None = None, times: int = 1, **settings: Any
) -> tuple[Any, Wire]:
    async def once() -> tuple[Any, Wire]:
        async with wire(*script) as server:
            transport = AnthropicTransport(url=server.url, model="m", **settings)
            try:
                for _ in range(times - 1):
                    with pytest.raises(RequestFailed):
                        await transport.send(request, seed=seed, timeouts=TIMES)
                return (await transport.send(request, seed=seed, timeouts=TIMES)).reply, server
            except RequestFailed as failed:
                return failed.failure, server
            finally:
                await transport.aclose()

    return asyncio.run(once())


def message(*blocks: Any, stop: str = "end_turn", **usage: int) -> dict[str, Any]:
    return {
        "type": "message",
        "role": "assistant",
        "model": "served",
        "content": list(blocks),
        "stop_reason": stop,
        "usage": {"input_tokens": 7, "output_tokens": 3, **usage},
    }


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def test_a_conversation_with_tools_takes_anthropics_form() -> None:
    request = Request(
        messages=(
            SYSTEM,
            {"role": "user", "content": "Weather in Rome and Oslo?"},
            {
                "role": "assistant",
                "content": "Looking.",
                "reasoning_content": "so",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "w", "arguments": '{"c": "Rome"}'}},
                    {"id": "b", "type": "function", "function": {"name": "w", "arguments": '{"c": "Oslo"}'}},
                ],
            },
            {"role": "tool", "tool_call_id": "a", "content": "warm"},
            {"role": "tool", "tool_call_id": "b", "content": "cold"},
        ),
        max_tokens=8,
        temperature=0.5,
        stop=("\n",),
        effort="low",
        tools=({"type": "function", "function": {"name": "w", "parameters": {"type": "object"}}},),
    )
    _, server = over_the_wire(answer(message(text("x"))), request=request, secret=Secret(KEY, "MY_KEY"))
    assert server.paths == ["/v1/messages"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert server.asked == [
        {
            "model": "m",
            "max_tokens": 8,
            "temperature": 0.5,
            "stop_sequences": ["\n"],
            "system": [text("Be brief.") | {"cache_control": {"type": "ephemeral"}}],
            "tools": [{"name": "w", "input_schema": {"type": "object"}}],
            "output_config": {"effort": "low"},
            "messages": [
                {"role": "user", "content": [text("Weather in Rome and Oslo?")]},
                {
                    "role": "assistant",
                    "content": [
                        text("Looking."),
                        {"type": "tool_use", "id": "a", "name": "w", "input": {"c": "Rome"}},
                        {"type": "tool_use", "id": "b", "name": "w", "input": {"c": "Oslo"}},
                    ],
                },
                {
                    "role": "user",
                    "content": [
                        {"type": "tool_result", "tool_use_id": "a", "content": [text("warm")]},
                        {"type": "tool_result", "tool_use_id": "b", "content": [text("cold")]},
                    ],
                },
            ],
        }
    ]


def test_thoughts_tools_and_cached_tokens_are_read() -> None:
    body = message(
        {"type": "thinking", "thinking": "so", "signature": "s"},
        text("4"),
        {"type": "tool_use", "id": "a", "name": "w", "input": {"c": "Rome"}},
        stop="tool_use",
        cache_read_input_tokens=100,
        cache_creation_input_tokens=20,
    )
    reply, _ = over_the_wire(answer(body))
    assert reply == Reply(
        "4",
        finish="tool_calls",
        reasoning="so",
        tool_calls=(ToolCall("w", '{"c": "Rome"}', "a"),),
        usage=Usage(prompt=127, cached=100, completion=3, stored=20),
        served_model="served",
    )


def events(*told: dict[str, Any]) -> list[Any]:
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in told]


START = {"type": "message_start", "message": message(stop=None, output_tokens=1)}  # type: ignore[arg-type]


def delta(index: int, **told: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": told}


def begun(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def test_a_stream_is_the_same_message_in_pieces() -> None:
    told = events(
        START,
        begun(0, type="thinking", thinking=""),
        delta(0, type="thinking_delta", thinking="so"),
        {"type": "ping"},
        begun(1, type="text", text=""),
        delta(1, type="text_delta", text="fo"),
        delta(1, type="text_delta", text="ur"),
        begun(2, type="tool_use", id="a", name="w", input={}),
        delta(2, type="input_json_delta", partial_json='{"c":'),
        delta(2, type="input_json_delta", partial_json="1}"),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    )
    reply, _ = over_the_wire([*stream(*told), b"0\r\n\r\n"], stream=True)
    assert (reply.text, reply.reasoning, reply.finish) == ("four", "so", "tool_calls")
    assert reply.tool_calls == (ToolCall("w", '{"c":1}', "a"),)
    assert reply.usage == Usage(prompt=7, completion=9)


@pytest.mark.parametrize("end", [CLOSE, 30.0])
def test_what_a_stream_said_before_it_broke_off_is_kept_and_marked(end: Any) -> None:
    told = events(START, begun(0, type="text", text=""), delta(0, type="text_delta", text="fo"))
    reply, _ = over_the_wire([*stream(*told), end], stream=True)
    assert (reply.text, reply.finish, reply.usage.estimated) == ("fo", "interrupted", True)


def test_an_error_in_a_stream_before_its_first_word_is_no_answer() -> None:
    told = events(START, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    failure, _ = over_the_wire([*stream(*told), b"0\r\n\r\n"], stream=True)
    assert (failure.kind, failure.reason) == (FailureClass.TRANSIENT, "overloaded")


def error(kind: str, said: str = "x") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": said}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (401, error("authentication_error"), "quota", "key"),
        (
            400,
            error("invalid_request_error", "Your credit balance is too low"),
            "quota",
            "insufficient_quota",
        ),
        (404, error("not_found_error", "model: m-9 not found"), "quota", "model_unknown"),
        (400, error("invalid_request_error", "prompt is too long: 9 > 8"), "permanent", "context_length"),
        (413, error("request_too_large"), "permanent", "too_large"),
        (429, error("rate_limit_error"), "rate", "rate_limit"),
        (500, error("api_error"), "transient", "server_error"),
        (529, error("overloaded_error"), "transient", "overloaded"),
        (200, {"type": "message"}, "malformed", "no_content"),
        (200, message(stop="refusal"), "semantic", "refusal"),
    ],
)
def test_every_failure_has_its_class(status: int, body: Any, kind: str, reason: str) -> None:
    failure, server = over_the_wire(answer(body, status), secret=Secret(KEY, "MY_KEY"))
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.reason) == (FailureClass(kind), reason)
    assert len(server.asked) == 1


def test_a_schema_is_sent_as_a_format_and_said_in_words_where_that_is_refused() -> None:
    schema = {"type": "object"}
    request = Request(messages=QUESTION.messages, schema=schema)
    refusal = answer(error("invalid_request_error", "output_config: Extra inputs are not permitted"), 400)
    reply, server = over_the_wire(refusal, answer(message(text("{}"))), request=request, times=2)
    assert server.asked[0]["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert json.dumps(schema) in server.asked[1]["messages"][0]["content"][-1]["text"]
    assert (reply.text, reply.tier) == ("{}", "prompt")


def test_what_messages_have_no_place_for_is_refused() -> None:
    with pytest.raises(ConfigError, match="got text, logprobs"):
        over_the_wire(answer(message()), request=Request(text="a", logprobs=1))


def test_seeds_are_not_sent_and_that_is_said() -> None:
    with pytest.warns(UserWarning, match="takes no seed"):
        _, server = over_the_wire(answer(message(text("4"))), seed=3)
    assert "seed" not in server.asked[0]
    with warnings.catch_warnings(action="error"):
        over_the_wire(answer(message(text("4"))))


def test_images_are_sent_by_their_bytes() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgpyZXN0"}}
    _, server = over_the_wire(
        answer(message(text("4"))), request=Request(messages=({"role": "user", "content": [part]},))
    )
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgpyZXN0"}
    assert server.asked[0]["messages"][0]["content"] == [{"type": "image", "source": source}]
