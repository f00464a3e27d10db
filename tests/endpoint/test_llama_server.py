"""The real server of these tests says what the model says."""

import asyncio
import json
import math
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import torch

from limbeck.core.asking import Candidate, Reply, Request
from limbeck.core.token_bytes import token_bytes
from limbeck.endpoint import Endpoint, Engine
from limbeck.endpoint.capabilities import Capabilities
from limbeck.endpoint.logprobs import residual_log_mass
from limbeck.endpoint.transports.making import make_transport
from tests.endpoint.llama_server import LlamaServer, next_log_probs
from tests.tiny import TEXTS


def post(url: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_the_server_gives_the_whole_distribution_of_the_model_in_transformers(
    llama_server: LlamaServer,
) -> None:
    # llama.cpp leaves log-probabilities out where an answer ends within a character, hence " student".
    prompt = llama_server.tokenizer("what the").input_ids
    expected = next_log_probs(llama_server, prompt)
    body = {
        "prompt": prompt,
        "max_tokens": 1,
        "logprobs": expected.numel(),
        "logit_bias": [[llama_server.tokenizer(" student").input_ids[0], 100.0]],
    }
    position = post(f"{llama_server.url}/completions", body)["choices"][0]["logprobs"]["content"][0]
    served = {entry["id"]: entry["logprob"] for entry in position["top_logprobs"]}
    assert sorted(served) == list(range(expected.numel()))
    torch.testing.assert_close(
        torch.tensor([served[token] for token in range(len(served))]), expected, atol=5e-5, rtol=0
    )


@pytest.mark.parametrize("streamed", [False, True])
def test_what_it_writes_is_scored_as_transformers_scores_it(
    llama_server: LlamaServer, tmp_path: Path, streamed: bool
) -> None:
    vocabulary = token_bytes(llama_server.tokenizer)
    endpoint = Endpoint(url=llama_server.url, model="tiny", stream=streamed)
    prompts = [llama_server.tokenizer(text).input_ids for text in TEXTS]

    async def run() -> list[Reply]:
        transport = make_transport(endpoint, vocabulary=vocabulary)
        async with Engine(endpoint, transport, journal=tmp_path / "j.sqlite") as engine:
            asked = (
                Request(token_ids=tuple(prompt), max_tokens=6, logprobs=320, seed=1, extra={"top_k": 0})
                for prompt in prompts
            )
            return list(await asyncio.gather(*map(engine.ask, asked)))

    compared = 0
    for prompt, reply in zip(prompts, asyncio.run(run()), strict=True):
        assert reply.scores is not None
        if len(reply.scores) < reply.usage.completion:  # it ended within a character
            continue
        ids = list(prompt)
        for position in reply.scores:
            expected = next_log_probs(llama_server, ids)
            served = torch.tensor([one.logprob for one in sorted(position.top, key=_id)])
            torch.testing.assert_close(served, expected, atol=5e-5, rtol=0)
            assert position.chosen.token_id is not None
            assert position.chosen.data == vocabulary[position.chosen.token_id]
            assert math.exp(residual_log_mass(position)) < 1e-5
            ids.append(position.chosen.token_id)
            compared += 1
    assert compared >= 6


def _id(candidate: Candidate) -> int:
    assert candidate.token_id is not None
    return candidate.token_id


def test_it_draws_several_answers_in_one_call_through_an_engine(
    llama_server: LlamaServer, tmp_path: Path
) -> None:
    endpoint = Endpoint(url=llama_server.url, model="tiny")

    async def run() -> tuple[list[Reply], int]:
        transport = make_transport(endpoint, Capabilities(n=True))
        async with Engine(endpoint, transport, journal=tmp_path / "j.sqlite") as engine:
            asked = (Request(text="the cat", max_tokens=8, sample=sample) for sample in range(3))
            replies = list(await asyncio.gather(*map(engine.ask, asked)))
            return replies, engine.spending().total.prompt

    replies, prompt = asyncio.run(run())
    assert len({reply.text for reply in replies}) == 3
    assert prompt == max(reply.usage.prompt for reply in replies) > 0  # it was read once
