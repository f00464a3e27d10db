"""Samples of one question that are asked at the same moment are drawn in one call, where the server can."""

import asyncio
from decimal import Decimal

import pytest

from limbeck.core.asking import Failure, FailureClass, Reply, RequestFailed, Usage
from limbeck.endpoint import Answer
from tests.endpoint.scripted import Scripted, broken, question, refused, scripted_engine
from tests.endpoint.virtual_time import run_at_once

PRICE = {"model": "*", "input": 1, "output": 2, "per": 1}


class Many(Scripted):
    """A teacher that draws several at once; `fails` says how a call of several goes wrong."""

    def __init__(self, says="yes", *, fails=lambda count: None):
        super().__init__(says)
        self.fails, self.sizes = fails, []

    async def send_many(self, request, *, seeds, timeouts):
        self.sizes.append(len(seeds))
        failure = self.fails(len(seeds))
        if failure is not None:
            raise RequestFailed(failure)
        return tuple(
            Answer(Reply(f"draw {number}", usage=Usage(0 if number else 10, 0, 5)))
            for number in range(len(seeds))
        )


def _samples(transport, folder, samples, *, questions=1, **settings):
    async def several(engine, number):
        asks = (engine.ask(question(f"q{number}", seed=1, sample=sample, max_tokens=8)) for sample in samples)
        return await asyncio.gather(*asks, return_exceptions=True)

    async def run():
        async with scripted_engine(transport, folder, count_tokens=lambda _: 10, **settings) as engine:
            rows = [row.value async for row in engine.map(range(questions), lambda n: several(engine, n))]
            return rows, engine.spending()

    return run_at_once(run())


def test_samples_of_a_question_are_one_call_and_its_prompt_is_paid_for_once(tmp_path):
    transport = Many()
    rows, spending = _samples(transport, tmp_path, range(4), questions=3, prices=[PRICE])
    assert (transport.sizes, transport.calls) == ([4, 4, 4], 0)
    assert [[reply.text for reply in row] for row in rows] == [[f"draw {n}" for n in range(4)]] * 3
    assert len({reply.key for row in rows for reply in row}) == 12
    assert (spending.now.calls, spending.now.prompt, spending.now.completion) == (3, 30, 60)
    assert spending.now.cost == Decimal(3 * (10 + 4 * 5 * 2))
    assert spending.reserved.unknown_calls == 0


def test_two_more_samples_are_one_more_call(tmp_path):
    _samples(Many(), tmp_path, range(3))
    transport = Many()
    ((first, *_, last),), _ = _samples(transport, tmp_path, range(5))
    assert transport.sizes == [2]
    assert (first.from_cache, last.from_cache) == (True, False)


def test_one_sample_alone_is_an_ordinary_call(tmp_path):
    transport = Many()
    _samples(transport, tmp_path, range(1), questions=3)
    assert (transport.sizes, transport.calls) == ([], 3)


@pytest.mark.parametrize(
    "failure",
    [Failure(FailureClass.MALFORMED, "few_choices", "one came"), refused("bad_request")],
)
def test_a_server_that_does_not_draw_several_is_asked_one_by_one_from_then_on(tmp_path, failure):
    transport = Many(fails=lambda count: failure)
    rows, _ = _samples(transport, tmp_path, range(3), questions=1)
    assert (transport.sizes, transport.calls) == ([3], 3)
    assert [reply.text for reply in rows[0]] == ["yes"] * 3
    later = Many()
    _samples(later, tmp_path, range(3))
    assert later.sizes == [] and later.calls == 0


def test_what_is_refused_whatever_the_number_fails_for_each_sample(tmp_path):
    transport = Many(lambda _: refused(), fails=lambda count: refused())
    rows, _ = _samples(transport, tmp_path, range(3))
    assert [error.failure.reason for error in rows[0]] == ["content_filter"] * 3
    assert len({error.failure.key for error in rows[0]}) == 3


def test_a_call_of_several_that_fails_in_passing_is_made_again(tmp_path):
    failures = iter([broken(), broken()])
    transport = Many(fails=lambda count: next(failures, None))
    rows, spending = _samples(transport, tmp_path, range(4))
    assert transport.sizes == [4, 4, 4] and [reply.text for reply in rows[0]] == [
        f"draw {n}" for n in range(4)
    ]
    assert spending.now.calls == 3


def test_a_budget_holds_for_calls_of_several(tmp_path):
    transport = Many()
    rows, spending = _samples(transport, tmp_path, range(4), budget={"tokens": 60}, questions=1)
    # 10 read and at most 4 x 8 written fit once: 30 of them are used
    assert len(rows) == 1 and spending.now.tokens == 30


def test_a_call_that_nobody_waits_for_any_more_is_given_up(tmp_path):
    class Slow(Many):
        async def send_many(self, request, *, seeds, timeouts):
            await asyncio.sleep(1_000)

    async def run():
        async with scripted_engine(Slow(), tmp_path) as engine:
            asks = [asyncio.create_task(engine.ask(question(sample=number))) for number in range(3)]
            await asyncio.sleep(1)
            for task in asks:
                task.cancel()
            await asyncio.gather(*asks, return_exceptions=True)
            await asyncio.sleep(1)
            return engine.spending()

    spending = run_at_once(run())
    assert spending.reserved.unknown_calls == 0 and spending.now.unknown_calls == 3
