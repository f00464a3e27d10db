"""Engine and openai client against a server that goes wrong in every way, over real connections."""

import asyncio

import pytest

from limbeck.core.asking import Paused
from limbeck.endpoint import Endpoint, Engine
from limbeck.endpoint.transports.making import make_transport
from tests.endpoint import fault_server as faults
from tests.endpoint.fault_server import FaultServer, rate_limit
from tests.endpoint.scripted import question

QUICK = {"first": 1.0, "idle": 1.0}  # of a server that hangs
PASSING = (
    faults.SERVER_ERROR, faults.OVERLOADED, faults.HTML, faults.EMPTY, faults.TRUNCATED, faults.HALF,
    faults.CLOSED, faults.HANG, faults.NO_CHOICES, faults.NULL, rate_limit(0.1), rate_limit(),
)  # fmt: skip


async def _rows(server, folder, requests, **settings):
    endpoint = Endpoint(**({"url": server.url, "model": "model", "workers": 8} | settings))
    async with Engine(endpoint, make_transport(endpoint), journal=folder / "journal.sqlite") as engine:
        return [row async for row in engine.map(requests, engine.ask)]


def _once(call_faults):
    """A script in which the question `qN` meets the fault N at its first call."""
    seen = set()

    def script(call):
        if call.prompt in seen:
            return None
        seen.add(call.prompt)
        return call_faults[int(call.prompt[1:]) % len(call_faults)]

    return script


@pytest.mark.parametrize("stream", [False, True])
def test_every_fault_that_passes_costs_another_call_and_no_row(tmp_path, stream):
    met = (*PASSING, faults.STALL) if stream else PASSING

    async def run():
        async with FaultServer(_once(met)) as server:
            asked = (question(f"q{number}") for number in range(len(met)))
            rows = await _rows(server, tmp_path, asked, stream=stream, timeouts=QUICK)
            calls = len(server.calls)
            again = await _rows(server, tmp_path, (question(f"q{number}") for number in range(len(met))))
            return rows, calls, again, len(server.calls) - calls

    rows, calls, again, more = asyncio.run(run())
    assert [row.value.text for row in rows] == [f"answer to q{number}" for number in range(len(met))]
    assert [row.value.finish for row in rows] == ["stop"] * len(met)
    # a rate limit may turn others away too, and nothing else does
    assert calls >= 2 * len(met)
    assert more == 0 and [row.value.text for row in again] == [row.value.text for row in rows]


def test_every_fault_that_stays_is_reported_in_its_place(tmp_path):
    refusals = {"q1": faults.CONTEXT_LENGTH, "q3": faults.CONTENT_FILTER, "q4": faults.BAD_REQUEST}

    async def run():
        async with FaultServer(lambda call: refusals.get(call.prompt)) as server:
            first = await _rows(server, tmp_path, (question(f"q{number}") for number in range(6)))
            calls = len(server.calls)
            second = await _rows(server, tmp_path, (question(f"q{number}") for number in range(6)))
            return first, calls, second, len(server.calls) - calls

    first, calls, second, more = asyncio.run(run())
    reasons = [row.failure.reason if row.failure else None for row in first]
    assert reasons == [None, "context_length", None, "content_filter", "bad_request", None]
    assert (calls, more) == (6, 0)
    assert [row.failure for row in second] == [row.failure for row in first]


def test_no_worker_calls_while_the_server_asks_all_to_wait(tmp_path):
    async def run():
        async with FaultServer(
            lambda call: rate_limit(1) if call.number == 20 else None, seconds=0.02
        ) as server:
            rows = await _rows(server, tmp_path, (question(f"q{number}") for number in range(60)))
            return rows, server.times

    rows, times = asyncio.run(run())
    assert all(row.value for row in rows) and len(times) == 61
    # seven others were under way, and may each have sent once more before the answer was read
    first = next(number for number in range(21, 60) if times[number] - times[number - 1] > 0.8)
    assert first <= 21 + 14
    assert times[first] >= times[20] + 1.0


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (faults.QUOTA, "You exceeded your current quota"),
        (faults.WRONG_KEY, "Incorrect API key"),
        (faults.NO_MODEL, "model 'model'"),
    ],
)
def test_what_no_later_call_can_mend_pauses_at_once(tmp_path, monkeypatch, fault, said):
    monkeypatch.setenv("TEACHER_KEY", "sk-hunter2hunter2")

    async def run():
        async with FaultServer(lambda call: fault) as server:
            with pytest.raises(Paused) as pause:
                await _rows(
                    server, tmp_path, (question(f"q{n}") for n in range(100)), api_key_env="TEACHER_KEY"
                )
            return pause.value, len(server.calls)

    pause, calls = asyncio.run(run())
    assert (pause.why, pause.exit_code) == ("quota", 75) and said in str(pause)
    assert calls <= 8
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hunter2" not in files and "hunter2" not in str(pause)


def test_thoughts_are_read_though_their_field_is_renamed_midway(tmp_path):
    def says(call):
        name = "reasoning_content" if call.number < 5 else "reasoning"
        return {"role": "assistant", "content": "four", name: "two and two"}

    async def run():
        async with FaultServer(says=says) as server:
            return await _rows(server, tmp_path, (question(f"q{number}") for number in range(10)), workers=1)

    rows = asyncio.run(run())
    assert [(row.value.text, row.value.reasoning) for row in rows] == [("four", "two and two")] * 10


def test_many_workers_keep_their_connections(tmp_path):
    async def run():
        async with FaultServer(seconds=0.05) as server:
            await _rows(server, tmp_path, (question(f"q{number}") for number in range(200)), workers=40)
            return server.connections

    assert 30 <= asyncio.run(run()) <= 40
