"""The request engine with a scripted teacher: what is asked once is never asked again."""

import asyncio

import pytest

from limbeck.core.asking import Reply, RequestFailed, Usage
from tests.endpoint.scripted import Scripted, question, refused, scripted_engine, text_of
from tests.endpoint.virtual_time import run_at_once


async def _all(engine, requests):
    async with engine:
        return [row async for row in engine.map(requests, engine.ask)]


def _questions(count):
    return (question(f"q{number}") for number in range(count))


def test_a_second_run_makes_no_call_and_says_the_same(tmp_path):
    first, second = Scripted(lambda request: text_of(request)), Scripted("other")
    before = run_at_once(_all(scripted_engine(first, tmp_path), _questions(50)))
    after = run_at_once(_all(scripted_engine(second, tmp_path), _questions(50)))
    assert (first.calls, second.calls) == (50, 0)
    assert (
        [row.value.text for row in before]
        == [row.value.text for row in after]
        == [f"q{n}" for n in range(50)]
    )
    assert not any(row.value.from_cache for row in before) and all(row.value.from_cache for row in after)
    assert [row.value.key for row in before] == [row.value.key for row in after]


def test_results_come_in_the_order_of_the_items_whatever_ends_first(tmp_path):
    async def later(request):
        await asyncio.sleep(100 - int(text_of(request)[1:]))
        return text_of(request)

    rows = run_at_once(_all(scripted_engine(Scripted(later), tmp_path), _questions(40)))
    assert [row.value.text for row in rows] == [f"q{number}" for number in range(40)]


def test_the_same_question_many_times_is_one_call(tmp_path):
    transport = Scripted(seconds=1.0)
    rows = run_at_once(_all(scripted_engine(transport, tmp_path), [question("same")] * 100))
    assert transport.calls == 1
    assert sum(not row.value.from_cache for row in rows) == 1


def test_asking_for_five_samples_after_three_asks_for_two_each_with_a_seed_of_its_own(tmp_path):
    def samples(count):
        return [question("draw", seed=7, sample=number) for number in range(count)]

    first, second = Scripted(), Scripted()
    run_at_once(_all(scripted_engine(first, tmp_path), samples(3)))
    run_at_once(_all(scripted_engine(second, tmp_path), samples(5)))
    assert (first.calls, second.calls) == (3, 2)
    seeds = first.seeds + second.seeds
    assert len(set(seeds)) == 5 and all(0 <= seed < 2**31 for seed in seeds)


def test_without_a_seed_none_is_sent(tmp_path):
    transport = Scripted()
    run_at_once(_all(scripted_engine(transport, tmp_path), [question()]))
    assert transport.seeds == [None]


def test_an_answer_that_says_error_is_an_answer(tmp_path):
    (row,) = run_at_once(_all(scripted_engine(Scripted("ERROR"), tmp_path), [question()]))
    assert row.failure is None and row.value.text == "ERROR"


def test_what_is_refused_for_good_is_reported_in_its_place_and_not_asked_again(tmp_path):
    def says(request):
        return refused() if text_of(request) == "q3" else "fine"

    first, second, third = Scripted(says), Scripted(says), Scripted("fine now")
    rows = run_at_once(_all(scripted_engine(first, tmp_path), _questions(6)))
    assert [row.failure.reason if row.failure else row.value.text for row in rows] == (
        ["fine"] * 3 + ["content_filter"] + ["fine"] * 2
    )
    again = run_at_once(_all(scripted_engine(second, tmp_path), _questions(6)))
    assert second.calls == 0
    assert again[3].failure == rows[3].failure
    run_at_once(_all(scripted_engine(third, tmp_path, retry_failed=True), _questions(6)))
    assert third.calls == 1


def test_many_items_are_taken_as_there_is_room_and_no_faster(tmp_path):
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield question(f"q{taken}")

    async def some():
        async with scripted_engine(Scripted(seconds=1.0), tmp_path, workers=4) as engine:
            rows = engine.map(endless(), engine.ask)
            found = [await anext(rows) for _ in range(20)]
            await rows.aclose()
            return found

    assert len(run_at_once(some())) == 20
    assert taken <= 20 + 4 * 2 * 16 + 1


def test_items_may_come_from_an_asynchronous_source(tmp_path):
    async def source():
        for number in range(20):
            await asyncio.sleep(1)
            yield question(f"q{number}")

    rows = run_at_once(_all(scripted_engine(Scripted(text_of), tmp_path), source()))
    assert [row.value.text for row in rows] == [f"q{number}" for number in range(20)]


def test_no_more_calls_are_under_way_than_there_are_workers(tmp_path):
    async def work(engine):
        async def several(number):
            return await asyncio.gather(*(engine.ask(question(f"{number}.{k}")) for k in range(5)))

        async with engine:
            return [row async for row in engine.map(range(20), several)]

    transport = Scripted(seconds=1.0)
    run_at_once(work(scripted_engine(transport, tmp_path, workers=6)))
    assert transport.calls == 100 and transport.most_under_way == 6


def test_work_that_goes_wrong_ends_the_map_with_its_error(tmp_path):
    async def work(number):
        if number == 5:
            raise ZeroDivisionError
        return number

    async def run():
        async with scripted_engine(Scripted(), tmp_path) as engine:
            return [row async for row in engine.map(range(20), work)]

    with pytest.raises(ZeroDivisionError):
        run_at_once(run())


def test_a_fault_of_the_transport_itself_is_not_swallowed(tmp_path):
    with pytest.raises(ZeroDivisionError):
        run_at_once(
            _all(scripted_engine(Scripted(lambda request: ZeroDivisionError()), tmp_path), [question()])
        )


def test_whoever_waits_for_the_same_answer_asks_itself_when_the_first_is_cancelled(tmp_path):
    async def run():
        transport = Scripted(seconds=10.0)
        async with scripted_engine(transport, tmp_path) as engine:
            first = asyncio.create_task(engine.ask(question()))
            await asyncio.sleep(1)
            second = asyncio.create_task(engine.ask(question()))
            await asyncio.sleep(1)
            first.cancel()
            assert (await second).text == "yes"
            assert engine.spending().now.unknown_calls == 1
        return transport.calls

    assert run_at_once(run()) == 2


def test_a_refusal_is_raised_where_it_is_asked(tmp_path):
    async def run():
        async with scripted_engine(Scripted(lambda request: refused("context_length")), tmp_path) as engine:
            await engine.ask(question())

    with pytest.raises(RequestFailed, match="context_length: no"):
        run_at_once(run())


def test_a_reply_is_kept_whole(tmp_path):
    from decimal import Decimal

    from limbeck.core.asking import Candidate, TokenScores, ToolCall

    score = TokenScores(Candidate(b"\xc3", -0.1, 5), (Candidate(b"a", -0.25), Candidate(b"b", -2.0, 7)))
    reply = Reply(
        "text \ud800", finish="tool_calls", reasoning="why", hidden_reasoning=True, parsed={"a": [1, None]},
        tool_calls=(ToolCall("f", "{", "id"),), tier="json_schema", usage=Usage(5, 4, 3, 2, True),
        scores=(score,), prompt_scores=(score, score), served_model="served",
    )  # fmt: skip
    price = {"model": "*", "input": 1, "cached": 0, "output": 1, "per": 10}

    async def run():
        async with scripted_engine(Scripted(lambda request: reply), tmp_path, prices=[price]) as engine:
            return await engine.ask(question()), await engine.ask(question())

    first, second = run_at_once(run())
    # one token read at full price, three written
    assert first.cost == second.cost == Decimal("0.4")
    for name in (field for field in Reply.__slots__ if field not in ("cost", "key", "from_cache")):
        assert getattr(first, name) == getattr(second, name) == getattr(reply, name), name
    assert (first.from_cache, second.from_cache) == (False, True)
