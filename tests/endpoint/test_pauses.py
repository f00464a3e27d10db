"""What the engine does when a server turns calls away, breaks or refuses: hours pass in the loop's clock."""

import asyncio
import itertools

import pytest

from limbeck.core.asking import Failure, FailureClass, Paused, Reply, Usage
from tests.endpoint.scripted import Scripted, broken, question, rate, refused, scripted_engine, text_of
from tests.endpoint.virtual_time import run_at_once


def _now():
    return asyncio.get_running_loop().time()


async def _all(engine, count):
    async with engine:
        requests = (question(f"q{number}") for number in range(count))
        return [row async for row in engine.map(requests, engine.ask)]


async def _until_paused(engine, count):
    """Rows before the pause, the pause, seconds that passed, and what was spent."""
    rows = []
    async with engine:
        requests = (question(f"q{number}") for number in range(count))
        try:
            async for row in engine.map(requests, engine.ask):
                rows.append(row)
        except Paused as pause:
            return rows, pause, _now(), engine.spending()
    raise AssertionError("it did not pause")


def test_all_rows_finish_when_a_rate_limit_lasts_a_minute(tmp_path):
    transport = Scripted(lambda request: rate() if _now() < 60 else "fine", seconds=0.1)
    rows = run_at_once(_all(scripted_engine(transport, tmp_path, workers=32), 200))
    assert [row.value.text for row in rows] == ["fine"] * 200


@pytest.mark.parametrize("retry_after", [None, 1.0, 30.0])
def test_a_rate_limit_for_ever_pauses_in_bounded_time_and_spends_nothing(tmp_path, retry_after):
    transport = Scripted(lambda request: rate(retry_after), seconds=0.1)
    engine = scripted_engine(transport, tmp_path, workers=32)
    rows, pause, seconds, spending = run_at_once(_until_paused(engine, 200))
    assert (rows, pause.why) == ([], "rate")
    assert 60 < seconds < 20 * 60
    assert spending.now.calls == spending.now.tokens == 0
    assert transport.calls < 2_000


def test_what_was_turned_away_is_asked_again_by_the_next_run(tmp_path):
    run_at_once(_until_paused(scripted_engine(Scripted(lambda request: rate()), tmp_path), 20))
    rows = run_at_once(_all(scripted_engine(Scripted("fine"), tmp_path), 20))
    assert [row.value.text for row in rows] == ["fine"] * 20


def test_a_server_that_asks_for_an_hour_is_left_alone_at_once(tmp_path):
    engine = scripted_engine(Scripted(lambda request: rate(3_600.0)), tmp_path)
    _, pause, seconds, _ = run_at_once(_until_paused(engine, 20))
    assert pause.why == "rate" and "3,600 seconds" in str(pause) and seconds < 5


def test_no_worker_sends_anything_while_the_server_asks_to_wait(tmp_path):
    def says(request):
        return rate(20.0) if 2.0 <= _now() < 2.05 else "fine"

    transport = Scripted(says, seconds=0.5)

    async def run():
        await asyncio.sleep(1.5)
        return await _all(scripted_engine(transport, tmp_path, workers=16), 300)

    run_at_once(run())
    turned_away = 2.0  # those of 1.5 come back at 2.0
    assert not [when for when in transport.times if turned_away < when < turned_away + 20.0]
    assert max(transport.times) > turned_away + 20.0


def test_fewer_calls_are_made_at_once_after_rate_limits_and_more_after_answers(tmp_path):
    async def run():
        transport = Scripted(lambda request: rate(1.0) if transport.under_way > 4 else "fine", seconds=1.0)
        engine = scripted_engine(transport, tmp_path, workers=64)
        assert engine._health.at_once == 64
        await _all(engine, 400)
        return engine._health.at_once

    assert 2 <= run_at_once(run()) <= 8


def test_a_server_that_is_away_for_two_minutes_costs_no_row(tmp_path):
    def says(request):
        return broken(None, "connect") if 10 < _now() < 130 else "fine"

    rows = run_at_once(_all(scripted_engine(Scripted(says, seconds=1.0), tmp_path, workers=32), 600))
    assert [row.value.text for row in rows if row.value] == ["fine"] * 600


def test_a_server_that_was_never_there_pauses_within_a_minute(tmp_path):
    transport = Scripted(lambda request: broken(None, "connect"))
    _, pause, seconds, spending = run_at_once(_until_paused(scripted_engine(transport, tmp_path), 500))
    assert pause.why == "server" and "broken" in str(pause)
    assert seconds < 60 and transport.calls < 200
    assert spending.now.cost == 0


def test_a_server_that_fails_at_every_other_call_is_not_pressed_for_ever(tmp_path):
    turns = itertools.cycle([broken(), "fine"])
    transport = Scripted(lambda request: next(turns), seconds=0.1)
    _, pause, _, _ = run_at_once(_until_paused(scripted_engine(transport, tmp_path), 5_000))
    assert pause.why == "server" and "made again" in str(pause)
    # retries are bounded by a fifth of the answers, and some that are free
    assert transport.calls < 1_000


def test_an_occasional_failure_is_tried_again_and_counted(tmp_path):
    seen = set()

    def says(request):
        first = text_of(request) not in seen
        seen.add(text_of(request))
        return broken() if first and int(text_of(request)[1:]) % 10 == 0 else "fine"

    transport = Scripted(says)
    rows = run_at_once(_all(scripted_engine(transport, tmp_path), 200))
    assert all(row.value for row in rows) and transport.calls == 220


def test_one_request_that_always_fails_is_tried_six_times_and_asked_again_by_the_next_run(tmp_path):
    def says(request):
        return broken() if text_of(request) == "q7" else "fine"

    first, second = Scripted(says, seconds=0.1), Scripted("fine")
    rows = run_at_once(_all(scripted_engine(first, tmp_path), 60))
    assert [row.item.messages[0]["content"] for row in rows if row.failure] == ["q7"]
    assert rows[7].failure.attempts == 6 and first.calls == 59 + 6
    assert run_at_once(_all(scripted_engine(second, tmp_path), 60))[7].value.text == "fine"


def test_an_answer_that_breaks_off_each_time_is_kept_as_far_as_it_came_and_marked(tmp_path):
    part = Reply("The first half", finish="interrupted", usage=Usage(10, 0, 3))

    def says(request):
        return part if text_of(request) == "q7" else "fine"

    first, second = Scripted(says), Scripted("other")
    rows = run_at_once(_all(scripted_engine(first, tmp_path), 60))
    assert (rows[7].value.text, rows[7].value.finish) == ("The first half", "interrupted")
    assert first.calls == 59 + 6
    run_at_once(_all(scripted_engine(second, tmp_path), 60))
    assert second.calls == 0


def test_an_answer_that_is_none_is_asked_for_three_times_and_then_never_again(tmp_path):
    def says(request):
        bad = Failure(FailureClass.MALFORMED, "no_json", "<html>")
        return bad if text_of(request) == "q7" else "fine"

    first, second = Scripted(says), Scripted("fine")
    rows = run_at_once(_all(scripted_engine(first, tmp_path), 60))
    assert rows[7].failure.reason == "no_json" and first.calls == 59 + 3
    run_at_once(_all(scripted_engine(second, tmp_path), 60))
    assert second.calls == 0


def test_a_wrong_key_pauses_at_once_and_names_the_variable_but_never_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("TEACHER_KEY", "sk-hunter2")
    said = Failure(
        FailureClass.QUOTA, "invalid_api_key", "Incorrect API key provided: sk-hunter2", status=401
    )
    transport = Scripted(lambda request: said, seconds=1.0)
    engine = scripted_engine(transport, tmp_path, api_key_env="TEACHER_KEY")
    _, pause, _, spending = run_at_once(_until_paused(engine, 500))
    assert pause.why == "quota" and "TEACHER_KEY" in str(pause) and "hunter2" not in str(pause)
    assert transport.calls <= 8 and spending.now.tokens == 0
    assert b"hunter2" not in (tmp_path / "journal.sqlite").read_bytes()
    assert "hunter2" not in repr(engine._fetcher._secret)


def test_requests_that_are_all_refused_stop_the_run_before_the_rows_are_gone(tmp_path):
    transport = Scripted(lambda request: refused("unknown_parameter"))
    rows, pause, _, _ = run_at_once(_until_paused(scripted_engine(transport, tmp_path), 5_000))
    assert pause.why == "server" and "unknown_parameter" in str(pause) and "retry_failed" in str(pause)
    assert transport.calls < 100 and len(rows) < 100


def test_refusals_stop_nothing_once_something_was_answered(tmp_path):
    transport = Scripted(lambda request: "fine" if text_of(request) == "q0" else refused(), seconds=0.1)
    rows = run_at_once(_all(scripted_engine(transport, tmp_path, workers=1), 200))
    assert sum(row.failure is not None for row in rows) == 199


def test_what_is_kept_is_still_answered_after_a_pause(tmp_path):
    run_at_once(_all(scripted_engine(Scripted("kept"), tmp_path), 5))

    async def run():
        failure = Failure(FailureClass.QUOTA, "insufficient_quota", "nothing left", status=429)
        async with scripted_engine(Scripted(lambda request: failure), tmp_path) as engine:
            with pytest.raises(Paused):
                await engine.ask(question("new"))
            return (await engine.ask(question("q3"))).text

    assert run_at_once(run()) == "kept"


def test_a_rate_limit_is_no_attempt(tmp_path):
    turned_away = iter([rate(1.0)] * 30 + [broken()])
    transport = Scripted(lambda request: next(turned_away, "fine"))

    async def run():
        async with scripted_engine(transport, tmp_path) as engine:
            return await engine.ask(question())

    assert run_at_once(run()).text == "fine" and transport.calls == 32
