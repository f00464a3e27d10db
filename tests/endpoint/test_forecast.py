"""What requests will cost before they are sent, and reading a journal that is written."""

import json
from decimal import Decimal

import pytest

from limbeck.core.asking import Reply, Usage
from limbeck.core.errors import StoreError
from limbeck.endpoint import Endpoint, forecast, reading
from tests.endpoint.scripted import Scripted, question, refused, scripted_engine, text_of
from tests.endpoint.virtual_time import run_at_once

PRICE = {"model": "scripted", "input": 1, "output": 3, "batch": "0.5", "per": 10}
ENDPOINT = Endpoint(url="http://127.0.0.1:1/v1", model="scripted", prices=[PRICE])


def _questions(count):
    return (question(f"q{number}", max_tokens=100) for number in range(count))


def test_a_forecast_of_a_new_journal_is_the_most_that_it_can_cost(tmp_path):
    found = forecast(_questions(5), ENDPOINT, journal=tmp_path / "none.sqlite", count_tokens=lambda _: 20)
    assert (found.requests, found.calls, found.prompt, found.most_written) == (5, 5, 100, 500)
    # 100 / 10 x 1 + 500 / 10 x 3
    assert (found.most_cost, found.most_batched, found.currency) == (Decimal(160), Decimal(80), "USD")
    assert (found.likely_written, found.likely_cost) == (None, None)
    assert list(tmp_path.iterdir()) == []


def test_what_is_kept_refused_or_repeated_costs_nothing(tmp_path):
    def says(request):
        return refused() if text_of(request) == "q3" else Reply("x", usage=Usage(prompt=20, completion=7))

    async def run():
        async with scripted_engine(Scripted(says), tmp_path) as engine:
            async for _ in engine.map(_questions(10), engine.ask):
                pass
            planned = [*_questions(15), *_questions(15)]
            return forecast(planned, ENDPOINT, journal=tmp_path / "journal.sqlite", count_tokens=lambda _: 20)

    found = run_at_once(run())
    assert (found.requests, found.kept, found.refused, found.repeated, found.calls) == (30, 18, 2, 5, 5)
    assert found.likely_written == 35 and found.likely_cost == Decimal("20.5")  # 100 read, 35 written


def test_without_a_price_no_money_is_named(tmp_path):
    free = ENDPOINT.model_copy(update={"prices": ()})
    found = forecast(_questions(2), free, journal=tmp_path / "none.sqlite")
    assert (found.calls, found.most_cost, found.currency) == (2, None, None)


def test_a_journal_is_read_while_it_is_written(tmp_path):
    async def run():
        async with scripted_engine(Scripted("said"), tmp_path) as engine:
            reply = await engine.ask(question("asked"))
            with reading(tmp_path / "journal.sqlite") as journal:
                return reply, journal.reply(reply.key), json.loads(journal.content(reply.key))

    reply, kept, content = run_at_once(run())
    assert (kept.text, kept.from_cache) == ("said", True) and reply.text == "said"
    assert content["messages"] == [{"content": "asked", "role": "user"}] and content["model"] == "scripted"


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    path = tmp_path / "text"
    path.write_text("not a database, but long enough to be read as the head of one" * 3)
    with pytest.raises(StoreError, match="sound SQLite file"), reading(path):
        pass
    with reading(tmp_path / "nowhere") as nothing:
        assert nothing is None
