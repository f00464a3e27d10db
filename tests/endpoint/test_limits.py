"""Limits in windows of a minute, and budgets."""

import asyncio
from decimal import Decimal

import pytest

from limbeck.core.asking import Failure, FailureClass, Paused, Reply, Usage
from limbeck.core.errors import ConfigError
from limbeck.endpoint.windows import Window
from tests.endpoint.scripted import Scripted, question, scripted_engine
from tests.endpoint.virtual_time import run_at_once

PRICE = {"model": "scripted", "input": 1, "output": 2, "per": 1}  # a unit for each token read, two written


async def _rows(engine, count, *, max_tokens=16):
    """Rows, and the pause if it came to one."""
    rows = []
    requests = (question(f"q{number}", max_tokens=max_tokens) for number in range(count))
    async with engine:
        try:
            async for row in engine.map(requests, engine.ask):
                rows.append(row)
        except Paused as pause:
            return rows, pause, engine.spending()
        return rows, None, engine.spending()


def _most_in_a_minute(times, weights):
    """The largest sum of weights of events within any 60 seconds."""
    return max(
        sum(weight for when, weight in zip(times, weights, strict=True) if start <= when < start + 60.0)
        for start in times
    )


def test_requests_a_minute_are_never_exceeded_in_any_window(tmp_path):
    transport = Scripted(seconds=0.7)
    engine = scripted_engine(transport, tmp_path, workers=16, requests_per_minute=60)
    rows, _, _ = run_at_once(_rows(engine, 300))
    assert len(rows) == 300
    assert _most_in_a_minute(transport.times, [1] * 300) == 60
    assert transport.times[-1] < 5 * 61  # and the limit is used


def test_tokens_a_minute_are_never_exceeded_in_any_window_and_used_as_they_turn_out(tmp_path):
    usage = Usage(prompt=20, completion=30)
    transport = Scripted(lambda request: Reply("answer", usage=usage), seconds=0.7)
    engine = scripted_engine(
        transport, tmp_path, workers=16, tokens_per_minute=1_000, count_tokens=lambda _: 20
    )
    rows, _, _ = run_at_once(_rows(engine, 200, max_tokens=180))
    assert len(rows) == 200
    assert _most_in_a_minute(transport.times, [50] * 200) <= 1_000
    # 50 tokens each, so 20 a minute, though 200 were set aside for each
    assert transport.times[-1] < 11 * 61 + 30


def test_a_request_larger_than_the_limit_passes_alone(tmp_path):
    transport = Scripted(lambda request: Reply("answer", usage=Usage(10, 0, 500)))
    engine = scripted_engine(transport, tmp_path, tokens_per_minute=100)
    rows, _, _ = run_at_once(_rows(engine, 3, max_tokens=500))
    assert len(rows) == 3 and transport.times[1] - transport.times[0] >= 60


def test_a_window_says_when_something_fits():
    window = Window(10, seconds=60)
    assert window.wait(4, now=0) == 0
    window.take(4, now=0)
    second = window.take(5, now=10)
    assert window.wait(1, now=20) == 0
    assert window.wait(2, now=20) == 40  # at 60 the first four are forgotten
    assert window.wait(5, now=20) == 40
    assert window.wait(6, now=20) == 50  # at 70 all of them
    window.settle(second, 1)
    assert window.wait(5, now=20) == 0
    assert window.wait(11, now=71) == 0  # larger than the limit, through an empty window


def test_a_budget_of_calls_is_kept_exactly_and_the_next_run_goes_on_with_a_higher_one(tmp_path):
    first = Scripted(seconds=1.0)
    rows, pause, _ = run_at_once(_rows(scripted_engine(first, tmp_path, budget={"calls": 20}), 50))
    assert (len(rows), first.calls) == (20, 20)
    assert pause.why == "budget" and "20 of 20 calls" in str(pause)
    second = Scripted()
    rows, pause, spending = run_at_once(_rows(scripted_engine(second, tmp_path, budget={"calls": 50}), 50))
    assert (len(rows), second.calls, pause) == (50, 30, None)
    assert (spending.total.calls, spending.now.calls, spending.saved.calls) == (50, 30, 20)


def test_a_budget_of_money_is_never_passed_and_is_used_as_far_as_the_next_call_fits(tmp_path):
    # each call costs 10 x 1 + 5 x 2 = 20, and could cost 10 + 16 x 2 = 42
    transport = Scripted(
        lambda request: Reply("a b c d e", usage=Usage(prompt=10, completion=5)), seconds=1.0
    )
    engine = scripted_engine(
        transport, tmp_path, budget={"money": "300"}, prices=[PRICE], count_tokens=lambda _: 10
    )
    rows, pause, spending = run_at_once(_rows(engine, 50))
    assert pause.why == "budget"
    # after 13 calls 260 are spent, and 42 more would be 302
    assert (len(rows), spending.now.cost) == (13, Decimal(260))


def test_a_budget_of_tokens_counts_those_read_and_written(tmp_path):
    transport = Scripted(lambda request: Reply("x", usage=Usage(prompt=10, completion=5)))
    engine = scripted_engine(transport, tmp_path, budget={"tokens": 100}, count_tokens=lambda _: 10)
    rows, pause, spending = run_at_once(_rows(engine, 50))
    # after 5 calls 75 are used, and 26 more would be 101
    assert (len(rows), spending.now.tokens) == (5, 75) and "75 of 100 tokens" in str(pause)


def test_scopes_share_answers_and_not_budgets(tmp_path):
    one = Scripted()
    run_at_once(_rows(scripted_engine(one, tmp_path, scope="one", budget={"calls": 10}), 10))
    two = Scripted()
    engine = scripted_engine(two, tmp_path, scope="two", budget={"calls": 10})
    rows, pause, _ = run_at_once(_rows(engine, 20))
    assert (len(rows), two.calls, pause) == (20, 10, None)


def test_money_cannot_be_limited_where_no_price_is_known(tmp_path):
    with pytest.raises(ConfigError, match="prices must hold one for the model scripted, got none"):
        scripted_engine(Scripted(), tmp_path, budget={"money": 1})
    with pytest.raises(ConfigError, match=r"got other\*"):
        scripted_engine(Scripted(), tmp_path, prices=[PRICE | {"model": "other*"}])


def test_the_cost_is_what_a_pencil_says(tmp_path):
    price = {"model": "script*", "input": "2.5", "cached": "0.25", "output": 10, "reasoning": 12}
    usage = Usage(prompt=1_000, cached=600, completion=300, reasoning=100)
    transport = Scripted(lambda request: Reply("x", usage=usage))
    _, _, spending = run_at_once(_rows(scripted_engine(transport, tmp_path, prices=[price]), 7))
    # 400 x 2.5 + 600 x 0.25 + 200 x 10 + 100 x 12 = 4350 for a million tokens; seven of them
    assert (spending.now.cost, spending.currency) == (Decimal("0.03045"), "USD")
    _, _, later = run_at_once(_rows(scripted_engine(Scripted(), tmp_path, prices=[price]), 7))
    assert (later.now.cost, later.saved.cost, later.total.cost) == (0, Decimal("0.03045"), Decimal("0.03045"))


def test_an_answer_without_usage_is_estimated_and_says_so(tmp_path):
    rows, _, _ = run_at_once(_rows(scripted_engine(Scripted(lambda _: Reply("abcdef")), tmp_path), 1))
    assert rows[0].value.usage == Usage(prompt=9, completion=2, estimated=True)  # 8 for the turn, two bytes


def test_a_call_that_timed_out_counts_as_the_most_that_it_can_have_cost(tmp_path):
    late = Failure(FailureClass.TRANSIENT, "timeout", "late")
    answers = iter([late, Reply("x", usage=Usage(prompt=10, completion=5))])
    engine = scripted_engine(
        Scripted(lambda _: next(answers)), tmp_path, prices=[PRICE], count_tokens=lambda _: 10
    )
    _, _, spending = run_at_once(_rows(engine, 1))
    assert spending.now.cost == Decimal(10 + 2 * 16 + 10 + 2 * 5)


def test_a_server_that_says_that_nothing_remains_is_left_alone_until_more_does(tmp_path):
    from limbeck.endpoint import Answer

    transport = Scripted(lambda _: Answer(Reply("x"), wait=30.0))

    async def run():
        async with scripted_engine(transport, tmp_path, workers=1) as engine:
            for number in range(3):
                await engine.ask(question(str(number)))

    run_at_once(run())
    gaps = [later - sooner for sooner, later in zip(transport.times, transport.times[1:], strict=False)]
    assert all(gap >= 30 for gap in gaps)


def test_waiting_calls_that_are_cancelled_leave_no_trace(tmp_path):
    async def run():
        transport = Scripted(seconds=5.0)
        async with scripted_engine(transport, tmp_path, workers=1) as engine:
            tasks = [asyncio.create_task(engine.ask(question(str(number)))) for number in range(5)]
            await asyncio.sleep(1)
            for task in tasks[1:4]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            return transport.calls, engine.spending().reserved.unknown_calls

    assert run_at_once(run()) == (2, 0)
