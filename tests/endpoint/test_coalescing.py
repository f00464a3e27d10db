"""Draws of one question share a call, and its prompt is paid for once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, Usage
from limbeck.endpoint import Answer, Endpoint, Engine, Timeouts
from limbeck.endpoint.transports.coalescing import CoalescingTransport
from limbeck.endpoint.transports.openai import OpenAIManyTransport
from tests.endpoint.llama_server import LlamaServer
from tests.endpoint.scripted import Scripted

TIMES = Timeouts()
QUESTION = Request(messages=({"role": "user", "content": "the cat"},), max_tokens=4)


class Many(Scripted):
    """A transport that gives up to `most` answers in one call, and refuses more."""

    def __init__(self, most: int = 100) -> None:
        super().__init__("alone")
        self.most = most
        self.together: list[int] = []

    async def send_many(
        self, request: Request, *, seeds: Sequence[int | None], timeouts: Timeouts
    ) -> tuple[Answer, ...]:
        self.together.append(len(seeds))
        if len(seeds) > self.most:
            raise RequestFailed(Failure(FailureClass.PERMANENT, "bad_request", "n must be at most 2"))
        usage = [Usage(prompt=10 if place == 0 else 0, completion=1) for place in range(len(seeds))]
        return tuple(Answer(Reply(f"draw {place}", usage=one)) for place, one in enumerate(usage))


def draws(count: int, **settings: object) -> list[Request]:
    return [
        Request(messages=QUESTION.messages, sample=sample, **settings)  # type: ignore[arg-type]
        for sample in range(count)
    ]


def sent(inner: Many, requests: list[Request], *, seed: int | None = None) -> list[str]:
    async def run() -> list[str]:
        transport = CoalescingTransport(inner)
        calls = (transport.send(request, seed=seed, timeouts=TIMES) for request in requests)
        answers = await asyncio.gather(*calls)
        await transport.aclose()
        return [answer.reply.text for answer in answers]

    return asyncio.run(run())


def test_draws_of_one_question_share_a_call() -> None:
    inner = Many()
    assert sent(inner, draws(3)) == ["draw 0", "draw 1", "draw 2"]
    assert (inner.together, inner.calls) == ([3], 0)


def test_other_questions_greedy_ones_and_draws_with_seeds_go_out_alone() -> None:
    inner = Many()
    sent(inner, [*draws(1), *draws(1, max_tokens=9)])
    assert inner.together == [1, 1]
    assert sent(inner, draws(2, temperature=0)) == ["alone", "alone"]
    assert sent(inner, draws(2), seed=5) == ["alone", "alone"]
    assert inner.seeds == [None, None, 5, 5]


def test_a_server_that_allows_fewer_is_asked_for_fewer() -> None:
    inner = Many(most=2)
    # Six are refused, then three twice; one and two of each three are drawn.
    assert sorted(sent(inner, draws(6))) == ["draw 0"] * 4 + ["draw 1"] * 2
    assert sorted(inner.together) == [1, 1, 2, 2, 3, 3, 6]


def test_llama_cpp_draws_several_answers_through_an_engine(llama_server: LlamaServer, tmp_path: Path) -> None:
    async def run() -> tuple[list[Reply], int]:
        inner = OpenAIManyTransport(url=llama_server.url, model="tiny")
        endpoint = Endpoint(url=llama_server.url, model="tiny")
        async with Engine(endpoint, CoalescingTransport(inner), journal=tmp_path / "j.sqlite") as engine:
            replies = await asyncio.gather(*map(engine.ask, draws(6, max_tokens=8)))
            return list(replies), engine.spending().total.prompt

    replies, prompt = asyncio.run(run())
    assert len({reply.text for reply in replies}) > 3
    # It refuses more than the four slots it has, and six then go out as two calls of three.
    assert prompt == 2 * replies[0].usage.prompt
