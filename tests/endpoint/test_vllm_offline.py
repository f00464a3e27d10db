"""vLLM inside of the process: one bad row is one failure, and a dead engine is started again."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from limbeck.core.asking import Candidate, Reply, Request, RequestFailed
from limbeck.core.errors import UserError
from limbeck.endpoint import Endpoint, Engine, Timeouts
from limbeck.endpoint.transports.vllm_offline import RESTARTS, VLLMTransport

TIMES = Timeouts()
ENDPOINT = Endpoint(url="http://in-process", model="m", workers=8)


class Refused(Exception):
    """What vLLM 0.32 raises is no ValueError."""


class FakeEngine:
    """As much of vLLM's engine as is used: answers, refuses long prompts, dies when it is told to."""

    started = 0
    fatal = "die"
    lives = 1

    def __init__(self) -> None:
        FakeEngine.started += 1
        self.errored = False
        self.number = FakeEngine.started

    @classmethod
    def from_engine_args(cls, arguments: Any) -> "FakeEngine":
        return cls()

    def get_tokenizer(self) -> Any:
        def template(turns: Any, **settings: Any) -> list[int]:
            return [ord(letter) for letter in turns[-1]["content"]]

        return SimpleNamespace(chat_template="x", apply_chat_template=template)

    async def generate(self, prompt: Any, sampling: Any, number: str) -> AsyncIterator[Any]:
        ids = prompt.get("prompt_token_ids") or [ord(letter) for letter in prompt["prompt"]]
        text = "".join(map(chr, ids))
        await asyncio.sleep(0.001 * len(ids))
        if len(ids) > 20:
            raise Refused(
                "This model's maximum context length is 20 tokens. However, your prompt contains at least 21 "
                "input tokens. Please reduce the length of the input prompt."
            )
        if self.fatal in text and self.number <= self.lives:
            self.errored = True
        if self.errored:
            raise RuntimeError("EngineCore encountered an issue.")
        scores = [{65: SimpleNamespace(logprob=-0.5), 66: SimpleNamespace(logprob=-1.5)}]
        answer = SimpleNamespace(
            text=f"<think>so</think>{text}!", token_ids=[66], finish_reason="stop",
            logprobs=None if sampling.logprobs is None else scores,
        )  # fmt: skip
        yield SimpleNamespace(
            outputs=[answer], prompt_token_ids=ids, prompt_logprobs=None, num_cached_tokens=1
        )

    def shutdown(self) -> None:
        self.errored = True


@pytest.fixture
def vllm(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    module: Any = ModuleType("vllm")
    module.AsyncLLMEngine = FakeEngine
    module.AsyncEngineArgs = SimpleNamespace
    module.SamplingParams = SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(FakeEngine, "started", 0)
    monkeypatch.setattr(FakeEngine, "lives", 1)
    return FakeEngine


def chat(text: str, **settings: Any) -> Request:
    return Request(messages=({"role": "user", "content": text},), **settings)


def test_an_answer_has_its_thoughts_tokens_and_scores(vllm: type[FakeEngine]) -> None:
    async def once() -> Reply:
        transport = VLLMTransport(model="m", vocabulary=[b""] * 65 + [b"A", b"B"])
        answer = await transport.send(chat("hey", logprobs=1), seed=1, timeouts=TIMES)
        await transport.aclose()
        return answer.reply

    reply = asyncio.run(once())
    assert (reply.text, reply.reasoning, reply.finish) == ("hey!", "so", "stop")
    assert (reply.usage.prompt, reply.usage.cached, reply.usage.completion) == (3, 1, 1)
    assert reply.scores is not None
    assert reply.scores[0].chosen == Candidate(b"B", -1.5, 66)
    assert reply.scores[0].top == (Candidate(b"A", -0.5, 65),)


def test_a_row_that_is_too_long_fails_alone_and_a_dead_engine_is_started_again(
    vllm: type[FakeEngine], tmp_path: Path
) -> None:
    questions = ["one", "x" * 21, "die", "two", "three"]

    async def once() -> list[Any]:
        engine = Engine(ENDPOINT, VLLMTransport(model="m"), journal=tmp_path / "j.sqlite")
        async with engine:
            calls = (engine.ask(chat(question)) for question in questions)
            return await asyncio.gather(*calls, return_exceptions=True)

    one, long, died, two, three = asyncio.run(once())
    assert isinstance(long, RequestFailed)
    assert long.failure.reason == "context_length"
    assert [reply.text for reply in (one, died, two, three)] == ["one!", "die!", "two!", "three!"]
    assert vllm.started == 2


def test_an_engine_that_always_dies_ends_the_run(
    vllm: type[FakeEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeEngine, "lives", 100)

    async def once() -> list[str]:
        transport = VLLMTransport(model="m")
        reasons = []
        for _ in range(RESTARTS + 2):
            with pytest.raises(RequestFailed) as failed:
                await transport.send(chat("die"), seed=None, timeouts=TIMES)
            reasons.append(failed.value.failure.kind.value)
        return reasons

    assert asyncio.run(once()) == ["transient"] * (RESTARTS + 1) + ["quota"]
    assert vllm.started == RESTARTS + 1


def test_without_vllm_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match="start a server elsewhere"):
        VLLMTransport(model="m")
