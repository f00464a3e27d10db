"""The server that tests go wrong with is itself in order: the openai client reads what it says."""

import asyncio

import openai
import pytest

from tests.endpoint import fault_server as faults
from tests.endpoint.fault_server import FaultServer


def _ask(server, *, timeout=30.0, **settings):
    client = openai.AsyncOpenAI(base_url=server.url, api_key="sk-1", max_retries=0, timeout=timeout)
    settings = {"model": "model", "messages": [{"role": "user", "content": "two words"}]} | settings
    return client.chat.completions.create(**settings)


def _meet(fault):
    async def run():
        async with FaultServer(lambda call: fault) as server:
            return await _ask(server, timeout=0.3 if fault is faults.HANG else 30.0)

    return asyncio.run(run())


def test_the_openai_client_reads_its_answers():
    async def run():
        async with FaultServer() as server:
            whole = await _ask(server, n=2)
            stream = await _ask(server, stream=True, stream_options={"include_usage": True})
            pieces = [piece async for piece in stream]
            client = openai.AsyncOpenAI(base_url=server.url, api_key="k")
            completion = await client.completions.create(model="model", prompt="Once")
            return whole, pieces, completion, (await client.models.list()).data, server.calls

    whole, pieces, completion, models, calls = asyncio.run(run())
    assert [choice.message.content for choice in whole.choices] == ["answer to two words"] * 2
    assert whole.usage.completion_tokens == 8
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == "answer to two words" and pieces[-1].usage.completion_tokens == 4
    assert completion.choices[0].text == "answer to Once"
    assert [model.id for model in models] == ["model"] and len(calls) == 3


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (faults.rate_limit(3), openai.RateLimitError),
        (faults.QUOTA, openai.RateLimitError),
        (faults.WRONG_KEY, openai.AuthenticationError),
        (faults.CONTEXT_LENGTH, openai.BadRequestError),
        (faults.NO_MODEL, openai.NotFoundError),
        (faults.SERVER_ERROR, openai.InternalServerError),
        (faults.HALF, openai.APIConnectionError),
        (faults.CLOSED, openai.APIConnectionError),
        (faults.HANG, openai.APITimeoutError),
    ],
)
def test_its_faults_are_those_that_the_client_knows(fault, error):
    with pytest.raises(error):
        _meet(fault)


def test_it_says_how_long_to_wait():
    with pytest.raises(openai.RateLimitError) as refused:
        _meet(faults.rate_limit(3))
    assert refused.value.response.headers["retry-after"] == "3"
