"""The real server of these tests says what the model says."""

import json
from typing import Any
from urllib.request import Request, urlopen

import torch

from tests.endpoint.llama_server import LlamaServer, next_log_probs


def post(url: str, body: dict[str, Any]) -> Any:
    request = Request(url, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=10) as response:
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
