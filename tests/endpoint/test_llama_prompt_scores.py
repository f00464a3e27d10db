"""llama.cpp scores what it writes and not what it reads: a capture is told so by its probe."""

import asyncio

import pytest

from limbeck.core.errors import StoreError
from limbeck.core.token_bytes import token_bytes
from limbeck.endpoint import Endpoint, Engine
from limbeck.endpoint.transports.openai import OpenAITransport
from limbeck.signals.server_probe import probe_server


def test_llama_cpp_gives_no_scores_of_prompts_and_the_probe_says_so(llama_server, tmp_path):
    async def run():
        endpoint = Endpoint(url=llama_server.url, model=llama_server.name)
        transport = OpenAITransport(url=endpoint.url, model=endpoint.model)
        async with Engine(endpoint, transport, journal=tmp_path / "journal.sqlite") as engine:
            spelling = token_bytes(llama_server.tokenizer)
            await probe_server([[5, 6, 7, 8]], engine, most=4, vocabulary=320, spelling=spelling, again=1)

    with pytest.raises(StoreError, match=r"got none, as from llama.cpp .*knows prompt_logprobs"):
        asyncio.run(run())
