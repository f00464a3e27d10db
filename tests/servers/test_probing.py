"""The probe against servers that are not ours: what they ignore it finds, what they do it believes."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from limbeck.assets import asset_path
from limbeck.endpoint.capabilities import Capabilities
from limbeck.endpoint.probe import probe
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transports.openai import OpenAIManyTransport
from tests.servers.process import free_port, program, running
from tests.servers.vllm import NAME, vllm_server
from tests.tiny import tiny_llama, tiny_tokenizer

pytestmark = pytest.mark.server


def found_at(url: str, model: str) -> Capabilities:
    async def once() -> Capabilities:
        transport = OpenAIManyTransport(url=url, model=model)
        try:
            return (await probe(transport, timeouts=Timeouts(first=120)))[0]
        finally:
            await transport.aclose()

    found = asyncio.run(once())
    print(f"\n{found}")
    return found


@pytest.fixture(scope="module")
def transformers_serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    folder = tmp_path_factory.mktemp("served")
    tiny_llama().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    port = free_port()
    command = [
        str(program("transformers")), "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu",
    ]  # fmt: skip
    env = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    log = folder.parent / "served.log"
    with running(command, env, health=f"http://127.0.0.1:{port}/health", log=log):
        yield f"http://127.0.0.1:{port}/v1", str(folder)


def test_transformers_serve_ignores_n_log_probabilities_and_schemas(
    transformers_serve: tuple[str, str],
) -> None:
    found = found_at(*transformers_serve)
    assert found.chat and found.usage
    assert not found.n and found.why["n"]
    assert found.logprobs is None and found.why["logprobs"]
    assert found.tier == "prompt" and found.why["schema"]
    assert found.prompt_logprobs is None


def test_vllm_does_what_it_is_asked(tmp_path: Path) -> None:
    with vllm_server(asset_path("code_teacher"), tmp_path / "log", "--max-logprobs", "64") as url:
        found = found_at(url, NAME)
    assert (found.server, found.context) == ("vllm", 257)
    assert found.completions and found.token_ids and found.n and found.seed
    # The model has no chat template, so there is no chat.
    assert not found.chat
    assert found.completion_logprobs == 20
    assert found.prompt_logprobs == 1
