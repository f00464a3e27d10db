"""What cannot fit a model's context is not sent."""

import asyncio

import pytest

from limbeck.core.asking import FailureClass, Request, RequestFailed
from limbeck.endpoint import Endpoint, ManyTransport, Timeouts
from limbeck.endpoint.capabilities import Capabilities
from limbeck.endpoint.transports.bounded import bounded
from limbeck.endpoint.transports.making import make_transport
from tests.endpoint.scripted import Scripted

TIMES = Timeouts()


def words(request: Request) -> int:
    return len((request.text or "").split())


def test_prompt_and_answer_must_fit_together() -> None:
    async def run() -> tuple[str, int]:
        inner = Scripted("yes")
        transport = bounded(inner, context=10, count_tokens=words)
        answer = await transport.send(Request(text="one two three", max_tokens=7), seed=None, timeouts=TIMES)
        with pytest.raises(RequestFailed, match="got 4 of the prompt and max_tokens 7") as failed:
            await transport.send(Request(text="one two three four", max_tokens=7), seed=None, timeouts=TIMES)
        assert failed.value.failure.kind is FailureClass.PERMANENT
        assert failed.value.failure.reason == "context_length"
        return answer.reply.text, inner.calls

    assert asyncio.run(run()) == ("yes", 1)


def test_without_a_tokenizer_or_a_context_nothing_is_counted() -> None:
    inner = Scripted("yes")
    assert bounded(inner, context=None, count_tokens=words) is inner
    assert bounded(inner, context=10, count_tokens=None) is inner


def test_an_endpoint_with_a_context_counts_first_and_may_still_draw_several() -> None:
    endpoint = Endpoint(url="http://127.0.0.1:9/v1", model="m", context=10)
    for several in (True, False):
        transport = make_transport(endpoint, Capabilities(n=several), count_tokens=words)
        assert isinstance(transport, ManyTransport) is several
        with pytest.raises(RequestFailed, match="must fit into 10 tokens"):
            asyncio.run(transport.send(Request(text="a", max_tokens=10), seed=None, timeouts=TIMES))
