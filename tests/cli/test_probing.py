"""`limbeck probe` prints what an endpoint really does."""

import json

from tests.endpoint.llama_server import LlamaServer, llama_server

__all__ = ["llama_server"]


def test_probe_prints_a_table_of_what_came_back(limbeck, llama_server: LlamaServer):
    ended = limbeck("probe", llama_server.url, "model=tiny")
    assert ended.code == 0
    lines = {line.strip() for line in ended.out.splitlines()}
    assert any(line.startswith("log-probabilities, texts") and "320 a token" in line for line in lines)
    assert any(line.startswith("log-probabilities, prompt") and "ignored" in line for line in lines)
    assert any(line.startswith("kept in runs/requests/tiny-127-0-0-1") for line in lines)
    assert any(line.startswith("note: llama.cpp samples with top_k 40") for line in lines)


def test_probe_prints_json(limbeck, llama_server: LlamaServer):
    found = json.loads(limbeck("probe", llama_server.url, "model=tiny", "--json").out)
    assert (found["tier"], found["completion_logprobs"], found["n"]) == ("json_schema", 320, True)


def test_probe_says_that_nobody_is_there(limbeck):
    ended = limbeck("probe", "http://127.0.0.1:9/v1", "model=tiny")
    assert ended.code == 2
    assert "the connection failed" in ended.err
