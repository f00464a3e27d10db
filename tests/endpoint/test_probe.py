"""The probe believes answers, not status codes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.asking import Usage
from limbeck.core.errors import ConfigError, UserError
from limbeck.endpoint.capabilities import Capabilities, require
from limbeck.endpoint.journal import Journal
from limbeck.endpoint.known import known, probed
from limbeck.endpoint.probe import probe
from limbeck.endpoint.settings import Endpoint, Timeouts
from limbeck.endpoint.transports.openai import OpenAIManyTransport
from tests.endpoint.llama_server import LlamaServer
from tests.endpoint.wire import Wire, answer, chat, wire


def probe_of(*script: Any) -> tuple[Capabilities, Usage, Wire]:
    async def once() -> tuple[Capabilities, Usage, Wire]:
        async with wire(*script) as server:
            transport = OpenAIManyTransport(url=server.url, model="m")
            try:
                return *(await probe(transport, timeouts=Timeouts(first=2), patience=0.001)), server
            finally:
                await transport.aclose()

    return asyncio.run(once())


def test_a_server_that_ignores_everything_can_only_chat() -> None:
    body = chat("Hello.")
    body["choices"][0]["text"] = "Hello."
    found, usage, server = probe_of(answer(body))
    assert (found.chat, found.completions, found.usage, found.temperature) == (True, True, True, True)
    assert (found.n, found.logprobs, found.completion_logprobs, found.prompt_logprobs) == (
        False, None, None, None,
    )  # fmt: skip
    assert (found.seed, found.tier, found.token_ids) == (None, "prompt", False)
    assert found.why["n"] == "n is ignored: one choice came"
    assert found.why["logprobs"] == "logprobs are ignored: none came"
    assert found.why["schema"] == "response_format is ignored"
    assert found.why["token_ids"] == "5 ids were read as 7 tokens"
    assert found.calls == len(server.paths)
    # The call with two answers counts too, although it came with one.
    assert usage.prompt == 7 * (found.calls - 2)


def test_llama_cpp_does_what_it_says(llama_server: LlamaServer) -> None:
    async def once() -> Capabilities:
        transport = OpenAIManyTransport(url=llama_server.url, model="tiny")
        found, _ = await probe(transport)
        await transport.aclose()
        return found

    found = asyncio.run(once())
    assert found.server == "llama.cpp"
    assert (found.chat, found.completions, found.token_ids, found.n, found.seed) == (True,) * 5
    assert (found.logprobs, found.completion_logprobs, found.prompt_logprobs) == (320, 320, None)
    assert (found.tier, found.usage, found.temperature, found.context) == ("json_schema", True, True, 256)
    assert any("top_k" in note for note in found.notes)


@pytest.mark.parametrize(
    ("status", "message"), [(401, "Incorrect API key provided"), (404, "model `m` does not exist")]
)
def test_an_endpoint_that_cannot_be_asked_is_the_users_to_mend(status: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        probe_of(answer({"error": {"message": message}}, status))


def test_what_was_found_is_kept_in_the_journal_with_its_tokens(tmp_path: Path) -> None:
    async def twice() -> tuple[Capabilities, Capabilities, int, int]:
        async with wire(answer(chat())) as server:
            endpoint = Endpoint(url=server.url, model="m")
            first = await probed(endpoint, journal=tmp_path / "j.sqlite")
            calls = len(server.paths)
            second = await probed(endpoint, journal=tmp_path / "j.sqlite")
            book = Journal(tmp_path / "j.sqlite")
            prompt = book.earlier.prompt
            assert known(endpoint, tmp_path / "j.sqlite") == first  # also while the journal is held
            assert known(endpoint, tmp_path / "none.sqlite") is None
            await book.aclose()
            return first, second, len(server.paths) - calls, prompt

    first, second, calls, prompt = asyncio.run(twice())
    assert (first, calls) == (second, 0)
    assert prompt > 0


def test_capabilities_come_back_from_json_as_they_were() -> None:
    found = Capabilities(chat=True, logprobs=5, without=("seed",), why={"n": "x"}, notes=("a",))
    assert Capabilities.of_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_what_a_recipe_needs_and_is_not_there_is_refused_all_at_once() -> None:
    found = Capabilities(chat=True, logprobs=5, why={"logprobs": "5 came where 20 were asked for"})
    require(found, {"chat": 1, "logprobs": 5})
    with pytest.raises(ConfigError) as refused:
        require(found, {"logprobs": 20, "schema": 1, "prompt_logprobs": 0})
    first, second, third = (str(problem) for problem in refused.value.problems)
    assert "with 20 candidates, got at most 5; 5 came where 20 were asked for." in first
    assert "held to a JSON schema by the server, got none" in second
    assert "log-probabilities of the prompt" in third


def test_a_need_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ConfigError, match="need must be one of chat"):
        require(Capabilities(), {"telepathy": 1})  # type: ignore[dict-item]
