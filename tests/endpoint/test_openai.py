"""The transport for OpenAI's form: what is sent, what answers become, and what every failure is called."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, ToolCall, Usage
from limbeck.core.errors import ConfigError
from limbeck.endpoint.secret import Secret
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transports.openai import OpenAIManyTransport, OpenAITransport
from tests.endpoint.wire import CLOSE, END, Wire, answer, chat, delta, stream, wire

QUESTION = Request(messages=({"role": "user", "content": "2 + 2?"},), max_tokens=8)
TIMES = Timeouts(connect=1, first=2, idle=0.2)
KEY = "sk-very-secret-0123456789"


def over_the_wire(
    *script: Any,
    ask: Callable[[OpenAIManyTransport], Awaitable[Any]] | None = None,
    request: Request = QUESTION,
    timeouts: Timeouts = TIMES,
    **settings: Any,
) -> tuple[Any, Wire]:
    """What a scripted server's answers become, and the server."""

    async def once() -> tuple[Any, Wire]:
        async with wire(*script) as server:
            transport = OpenAIManyTransport(url=server.url, model="m", **settings)
            try:
                if ask is not None:
                    return await ask(transport), server
                return (await transport.send(request, seed=None, timeouts=timeouts)).reply, server
            except RequestFailed as failed:
                return failed.failure, server
            finally:
                await transport.aclose()

    return asyncio.run(once())


def test_a_chat_is_sent_with_all_that_was_asked_and_nothing_else() -> None:
    request = Request(
        messages=(
            {"role": "user", "content": "2 + 2?"},
            {"role": "assistant", "content": "4", "reasoning_content": "so"},
            {"role": "user", "content": "Sure?"},
        ),
        max_tokens=8,
        temperature=0.5,
        top_p=0.9,
        stop=("\n",),
        seed=1,
        sample=2,
        logprobs=3,
        effort="low",
        extra={"top_k": 5},
    )
    _, server = over_the_wire(
        answer(chat()), ask=lambda transport: transport.send(request, seed=99, timeouts=TIMES)
    )
    assert server.paths == ["/v1/chat/completions"]
    assert server.asked == [
        {
            "model": "m",
            "messages": [
                {"role": "user", "content": "2 + 2?"},
                {"role": "assistant", "content": "4"},
                {"role": "user", "content": "Sure?"},
            ],
            "max_tokens": 8,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": ["\n"],
            "seed": 99,
            "logprobs": True,
            "top_logprobs": 3,
            "reasoning_effort": "low",
            "top_k": 5,
        }
    ]


def test_thoughts_of_a_turn_that_called_tools_are_sent_back() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    turn = {"role": "assistant", "content": "", "reasoning_content": "so", "tool_calls": calls}
    request = Request(
        messages=(*QUESTION.messages, turn, {"role": "tool", "tool_call_id": "1", "content": "x"})
    )
    _, server = over_the_wire(answer(chat()), request=request)
    assert server.asked[0]["messages"][1]["reasoning_content"] == "so"


def test_texts_and_token_ids_are_continued_as_they_are() -> None:
    body = {"choices": [{"text": " mat", "finish_reason": "length"}], "usage": None}
    for request, prompt in ((Request(text="the"), "the"), (Request(token_ids=(5, 6)), [5, 6])):
        reply, server = over_the_wire(answer(body), request=request)
        assert (server.paths[0], server.asked[0]["prompt"]) == ("/v1/completions", prompt)
        assert (reply.text, reply.finish, reply.usage.estimated) == (" mat", "length", True)


def test_extra_fields_may_not_overrule_settings() -> None:
    with pytest.raises(ConfigError, match="got max_tokens"):
        over_the_wire(answer(chat()), request=Request(text="a", extra={"max_tokens": 9}))


def test_usage_tells_cached_tokens_and_thoughts() -> None:
    body = chat(reasoning="so")
    body["usage"] = {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }
    reply, _ = over_the_wire(answer(body))
    assert reply.usage == Usage(prompt=100, cached=64, completion=30, reasoning=20)
    assert (reply.text, reply.reasoning, reply.served_model) == ("4", "so", "served")


def test_an_answer_that_says_error_is_an_answer() -> None:
    reply, _ = over_the_wire(answer(chat("ERROR: rate limit exceeded")))
    assert isinstance(reply, Reply)
    assert reply.text == "ERROR: rate limit exceeded"


def test_n_answers_share_the_usage_of_their_call() -> None:
    body = chat()
    body["choices"] = [
        {"index": 1, "finish_reason": "stop", "message": {"content": "bbbbbb"}},
        {"index": 0, "finish_reason": "stop", "message": {"content": "aaa"}},
    ]
    body["usage"] = {"prompt_tokens": 10, "completion_tokens": 9}
    answers, server = over_the_wire(
        answer(body), ask=lambda transport: transport.send_many(QUESTION, seeds=[4, 5], timeouts=TIMES)
    )
    assert (server.asked[0]["n"], server.asked[0]["seed"]) == (2, 4)
    assert [found.reply.text for found in answers] == ["aaa", "bbbbbb"]
    assert [found.reply.usage for found in answers] == [Usage(prompt=10, completion=3), Usage(completion=6)]


def test_fewer_choices_than_n_are_no_answer() -> None:
    failure, _ = over_the_wire(
        answer(chat()), ask=lambda transport: transport.send_many(QUESTION, seeds=[4, 5], timeouts=TIMES)
    )
    assert (failure.kind, failure.reason) == (FailureClass.MALFORMED, "few_choices")


def test_a_server_that_says_when_it_takes_more_is_heard() -> None:
    headers = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2s"}
    found, _ = over_the_wire(
        answer(chat(), headers=headers),
        ask=lambda transport: transport.send(QUESTION, seed=None, timeouts=TIMES),
    )
    assert found.wait == 62.0


def error(message: str, **told: Any) -> dict[str, Any]:
    return {"error": {"message": message, **told}}


PAGE = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>"

FAILURES = [
    (401, error("Incorrect API key provided", code="invalid_api_key"), "quota", "key"),
    (402, error("Insufficient credits"), "quota", "insufficient_quota"),
    (403, error("Your input was flagged"), "permanent", "content_filter"),
    (403, error("Country not allowed"), "quota", "forbidden"),
    (404, error("The model `m` does not exist", code="model_not_found"), "quota", "model_unknown"),
    (404, {"detail": "Not Found"}, "permanent", "not_found"),
    (400, error("too long", code="context_length_exceeded"), "permanent", "context_length"),
    (400, error("maximum context length is 4096 tokens"), "permanent", "context_length"),
    (400, error("x", code="content_filter"), "permanent", "content_filter"),
    (400, error("temperature must be at most 2"), "permanent", "bad_request"),
    (413, error("Payload too large"), "permanent", "too_large"),
    (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, "permanent", "bad_request"),
    (429, error("Rate limit reached", code="rate_limit_exceeded"), "rate", "rate_limit"),
    (429, error("You exceeded your current quota", code="insufficient_quota"), "quota", "insufficient_quota"),
    (408, {}, "transient", "timeout"),
    (409, {}, "transient", "server_error"),
    (500, error("oops"), "transient", "server_error"),
    (502, PAGE, "transient", "server_error"),
    (503, error("busy"), "transient", "overloaded"),
    (529, error("Overloaded", type="overloaded_error"), "transient", "overloaded"),
    (400, PAGE, "malformed", "html"),
    (200, PAGE, "malformed", "html"),
    (200, "so long", "malformed", "not_json"),
    (200, {"choices": []}, "malformed", "no_choices"),
    (200, {}, "malformed", "no_choices"),
    (200, [], "malformed", "not_json"),
    (200, chat(None), "malformed", "no_content"),
    (200, error("upstream overloaded"), "transient", "overloaded"),
    (200, chat(None, refusal="I cannot"), "semantic", "refusal"),
]


@pytest.mark.parametrize(("status", "body", "kind", "reason"), FAILURES)
@pytest.mark.parametrize("streamed", [False, True])
def test_every_failure_has_its_class(status: int, body: Any, kind: str, reason: str, streamed: bool) -> None:
    failure, server = over_the_wire(
        answer(body, status, kind="text/html" if body == PAGE else "application/json"), stream=streamed
    )
    assert isinstance(failure, Failure)
    assert (failure.kind, failure.reason) == (FailureClass(kind), reason)
    assert failure.message
    assert len(server.asked) == 1  # the client does not try again by itself


def test_an_answer_that_was_filtered_whole_is_no_answer() -> None:
    body = chat("")
    body["choices"][0]["finish_reason"] = "content_filter"
    failure, _ = over_the_wire(answer(body))
    assert (failure.kind, failure.reason) == (FailureClass.PERMANENT, "content_filter")


def test_a_page_of_html_is_named_by_its_title() -> None:
    failure, _ = over_the_wire(answer(PAGE, 502, kind="text/html"))
    assert failure.message == "an HTML page came instead of JSON (502 Bad Gateway)."


def test_the_time_to_wait_is_handed_on() -> None:
    failure, _ = over_the_wire(answer(error("slow down"), 429, {"Retry-After": "2"}))
    assert (failure.kind, failure.retry_after) == (FailureClass.RATE, 2.0)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ([CLOSE], "connection"),
        ([b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"choi', CLOSE], "connection"),
        ([30.0], "timeout"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{", 30.0], "timeout"),
    ],
)
def test_connections_that_break_or_hang_are_tried_again(script: Any, reason: str) -> None:
    failure, _ = over_the_wire(script, timeouts=Timeouts(connect=1, first=0.2, idle=0.2))
    assert (failure.kind, failure.reason) == (FailureClass.TRANSIENT, reason)


def test_nobody_at_the_address_is_a_failed_connection() -> None:
    async def once() -> Failure:
        async with wire(answer(chat())) as server:
            url = server.url
        transport = OpenAITransport(url=url, model="m")
        with pytest.raises(RequestFailed) as failed:
            await transport.send(QUESTION, seed=None, timeouts=TIMES)
        await transport.aclose()
        return failed.value.failure

    assert asyncio.run(once()).reason == "connect"


def test_a_stream_is_the_same_answer_in_pieces() -> None:
    pieces = [
        delta(role="assistant", content=""),
        delta(reasoning="2 and "),
        delta(reasoning="2"),
        ": ping\n\n",
        delta(content="fo"),
        delta(content="ur"),
        delta("stop"),
        {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}},
    ]
    reply, server = over_the_wire(stream(*pieces) + END, stream=True)
    assert reply == Reply(
        "four", reasoning="2 and 2", usage=Usage(prompt=5, completion=6), served_model="served"
    )
    assert server.asked[0]["stream_options"] == {"include_usage": True}


def test_the_field_of_thoughts_may_change_its_name_midway() -> None:
    pieces = [delta(reasoning_content="a"), delta(content="4"), delta("stop")]
    first, _ = over_the_wire(stream(*pieces) + END, stream=True)
    pieces[0] = delta(reasoning="a")
    second, _ = over_the_wire(stream(*pieces) + END, stream=True)
    assert first == second


def test_tool_calls_come_in_pieces_too() -> None:
    def piece(index: int, **function: str) -> dict[str, Any]:
        call_id = {"id": f"call{index}"} if "name" in function else {}
        return delta(tool_calls=[{"index": index, **call_id, "function": function}])

    script = stream(
        piece(0, name="f", arguments=""), piece(0, arguments='{"a":'), piece(1, name="g", arguments="{}"),
        piece(0, arguments="1}"), delta("tool_calls"),
    )  # fmt: skip
    reply, _ = over_the_wire(script + END, stream=True)
    assert reply.tool_calls == (ToolCall("f", '{"a":1}', "call0"), ToolCall("g", "{}", "call1"))
    assert reply.finish == "tool_calls"


@pytest.mark.parametrize("end", [[CLOSE], [30.0], [b"0\r\n\r\n"]])
def test_what_a_stream_said_before_it_broke_off_is_kept_and_marked(end: Any) -> None:
    reply, _ = over_the_wire([*stream(delta(content="2 and")), *end], stream=True)
    assert (reply.text, reply.finish) == ("2 and", "interrupted")
    assert reply.usage.estimated


def test_a_slow_stream_is_not_cut_while_it_goes_on() -> None:
    slow = [part for letter in "abcdef" for part in (delta(content=letter), 0.1)]
    reply, _ = over_the_wire(
        stream(*slow, delta("stop")) + END, stream=True, timeouts=Timeouts(connect=1, first=0.4, idle=0.4)
    )
    assert (reply.text, reply.finish) == ("abcdef", "stop")


def test_a_stream_that_breaks_before_its_first_word_is_no_answer() -> None:
    for script, kind in (
        ([*stream(delta(role="assistant", content="")), CLOSE], FailureClass.TRANSIENT),
        (stream(error("overloaded", code=503)) + END, FailureClass.TRANSIENT),
        (stream("data: {not json\n\n") + END, FailureClass.MALFORMED),
        (END, FailureClass.TRANSIENT),
    ):
        failure, _ = over_the_wire(script, stream=True)
        assert failure.kind is kind


@pytest.mark.parametrize("streamed", [False, True])
def test_no_failure_holds_the_key(streamed: bool) -> None:
    for script in (
        answer(error(f"Incorrect API key provided: {KEY}."), 401),
        answer(f"Bearer {KEY} is wrong", 200, kind="text/plain"),
        answer(error("Incorrect API key provided: sk-very-****6789"), 401),
    ):
        failure, server = over_the_wire(script, secret=Secret(KEY, "MY_KEY"), stream=streamed)
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
        assert "6789" not in repr(failure)
        assert "very" not in repr(failure)


def test_a_limit_that_is_called_otherwise_is_learnt_for_the_next_attempt() -> None:
    refusal = error(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead.",
        param="max_tokens",
        code="unsupported_parameter",
    )

    async def twice(transport: OpenAITransport) -> Reply:
        with pytest.raises(RequestFailed) as failed:
            await transport.send(QUESTION, seed=None, timeouts=TIMES)
        assert failed.value.failure.kind is FailureClass.TRANSIENT
        return (await transport.send(QUESTION, seed=None, timeouts=TIMES)).reply

    reply, server = over_the_wire(answer(refusal, 400), answer(chat()), ask=twice)
    assert reply.text == "4"
    assert (server.asked[1]["max_completion_tokens"], "max_tokens" in server.asked[1]) == (8, False)


def test_a_temperature_that_is_refused_is_reported_and_never_dropped() -> None:
    refusal = answer(
        error("Unsupported value: 'temperature' does not support 0.7 with this model.", param="temperature"),
        400,
    )
    failure, _ = over_the_wire(refusal, request=Request(messages=QUESTION.messages, temperature=0.7))
    assert (failure.kind, failure.reason) == (FailureClass.PERMANENT, "unsupported")
    assert "temperature must be left as the server has it, got 0.7" in failure.message
    failure, _ = over_the_wire(refusal)  # 1 is what such models do by themselves
    assert failure.kind is FailureClass.TRANSIENT


def test_a_seed_that_is_refused_is_said_once() -> None:
    refusal = answer({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, 422)

    async def seeded(transport: OpenAITransport) -> Any:
        with pytest.raises(RequestFailed):
            await transport.send(QUESTION, seed=1, timeouts=TIMES)
        return await transport.send(QUESTION, seed=1, timeouts=TIMES)

    with pytest.warns(UserWarning, match="takes no seed"):
        _, server = over_the_wire(refusal, answer(chat()), ask=seeded)
    assert "seed" not in server.asked[1]


def test_a_schema_is_asked_for_in_the_next_weaker_way_where_one_is_refused() -> None:
    refusal = answer(error("response_format json_schema is not supported"), 400)
    request = Request(messages=QUESTION.messages, schema={"type": "object"})

    async def until_served(transport: OpenAITransport) -> Reply:
        for _ in range(2):
            with pytest.raises(RequestFailed):
                await transport.send(request, seed=None, timeouts=TIMES)
        return (await transport.send(request, seed=None, timeouts=TIMES)).reply

    reply, server = over_the_wire(refusal, refusal, answer(chat("{}")), ask=until_served)
    assert [asked.get("response_format", {}).get("type") for asked in server.asked] == [
        "json_schema", "json_object", None,
    ]  # fmt: skip
    assert reply.tier == "grammar"


def test_images_are_sent_by_their_bytes(tmp_path: Any) -> None:
    png = b"\x89PNG\r\n\x1a\nrest"
    (tmp_path / "a.bin").write_bytes(png)
    url = "data:image/png;base64,iVBORw0KGgpyZXN0"
    parts = [
        {"type": "image", "image": str(tmp_path / "a.bin")},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "text", "text": "What is it?"},
    ]
    request = Request(messages=({"role": "user", "content": parts},))
    _, server = over_the_wire(answer(chat()), request=request)
    assert server.asked[0]["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": url}},
        parts[1],
        parts[2],
        parts[3],
    ]


def test_the_environment_names_no_other_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "OPENAI_API_KEY", KEY)
    _, server = over_the_wire(answer(chat()))
    assert KEY not in str(server.headers)
