"""Batches: nothing is matched by order, lost at an expiry, or paid for twice after a kill."""

import asyncio
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from limbeck.core.asking import FailureClass, Reply, Request, RequestFailed
from limbeck.core.errors import ConfigError
from limbeck.endpoint import Engine, Spend
from limbeck.endpoint.batch import BatchTransport
from limbeck.endpoint.batch.anthropic import AnthropicBatches
from limbeck.endpoint.batch.form import Asked
from limbeck.endpoint.batch.openai import OpenAIBatches
from limbeck.endpoint.batch.transport import _split
from limbeck.endpoint.prices import Price
from limbeck.endpoint.settings import Endpoint, Timeouts
from limbeck.endpoint.transports.anthropic import AnthropicTransport
from limbeck.endpoint.transports.making import make_transport
from limbeck.endpoint.transports.openai import OpenAITransport
from tests.endpoint.batch_server import BatchServer, Outcome, batch_server

TIMES = Timeouts(connect=1, first=5)
QUESTIONS = [
    Request(messages=({"role": "user", "content": f"question {n}"},), max_tokens=4) for n in range(6)
]


def said(line: dict[str, Any]) -> str:
    """What a request of OpenAI's or Anthropic's form asks, as its answer."""
    content = (line.get("body") or line["params"])["messages"][-1]["content"]
    return f"answer to {content if isinstance(content, str) else content[0]['text']}"


def answered(line: dict[str, Any]) -> dict[str, Any]:
    body = {
        "choices": [{"finish_reason": "stop", "message": {"content": said(line)}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}


def refused(line: dict[str, Any], status: int = 400, message: str = "bad") -> dict[str, Any]:
    body = {"error": {"message": message}}
    return {"custom_id": line["custom_id"], "response": {"status_code": status, "body": body}, "error": None}


def expired(line: dict[str, Any]) -> dict[str, Any]:
    error = {"code": "batch_expired", "message": "This request could not be executed before it expired."}
    return {"custom_id": line["custom_id"], "response": None, "error": error}


def all_shuffled(lines: list[Any]) -> tuple[str, list[Any], list[Any]]:
    return "completed", [answered(line) for line in reversed(lines)], []


def ask_all(transport: BatchTransport, requests: list[Request]) -> Any:
    calls = (transport.send(request, seed=None, timeouts=TIMES) for request in requests)
    return asyncio.gather(*calls, return_exceptions=True)


def openai_batches(server: BatchServer, journal: Path, **settings: Any) -> BatchTransport:
    form = OpenAIBatches(OpenAITransport(url=server.url, model="m"), model="m", timeouts=TIMES)
    settings = {"linger": 0.02, "pace": 0.01} | settings
    return BatchTransport(form, model="m", journal=journal, **settings)


def run(
    tmp_path: Path, *outcomes: Outcome, requests: list[Request] = QUESTIONS, **settings: Any
) -> tuple[list[Any], BatchServer]:
    async def once() -> tuple[list[Any], BatchServer]:
        async with batch_server(*outcomes) as server:
            transport = openai_batches(server, tmp_path / "j.sqlite", **settings)
            try:
                return await ask_all(transport, requests), server
            finally:
                await transport.aclose()

    return asyncio.run(once())


def texts(outcomes: list[Any]) -> list[Any]:
    return [getattr(one, "reply", Reply("none")).text for one in outcomes]


EXPECTED = [f"answer to question {n}" for n in range(6)]


def test_shuffled_results_are_matched_by_their_keys(tmp_path: Path) -> None:
    outcomes, server = run(tmp_path, all_shuffled)
    assert texts(outcomes) == EXPECTED
    (lines,) = server.lines()
    assert [line["body"]["messages"][0]["content"] for line in lines] == [f"question {n}" for n in range(6)]
    assert (lines[0]["method"], lines[0]["url"]) == ("POST", "/v1/chat/completions")
    assert outcomes[0].reply.usage.prompt == 3


def test_rows_that_are_missing_go_into_the_next_batch_alone(tmp_path: Path) -> None:
    def without_two(lines: list[Any]) -> tuple[str, list[Any], list[Any]]:
        return "completed", [answered(line) for line in lines[2:]], []

    outcomes, server = run(tmp_path, without_two, all_shuffled)
    assert texts(outcomes) == EXPECTED
    assert [len(lines) for lines in server.lines()] == [6, 2]


@pytest.mark.parametrize("ends", ["expired", "cancelled"])
def test_half_of_a_batch_is_kept_and_the_other_half_asked_again(tmp_path: Path, ends: str) -> None:
    def half(lines: list[Any]) -> tuple[str, list[Any], list[Any]]:
        return ends, [answered(line) for line in lines[:3]], [expired(line) for line in lines[3:]]

    outcomes, server = run(tmp_path, half, all_shuffled)
    assert texts(outcomes) == EXPECTED
    assert [len(lines) for lines in server.lines()] == [6, 3]


def test_a_batch_with_nothing_but_an_error_file_is_read(tmp_path: Path) -> None:
    def only_errors(lines: list[Any]) -> tuple[str, list[Any], list[Any]]:
        return "completed", [], [refused(line, message="maximum context length") for line in lines]

    outcomes, server = run(tmp_path, only_errors)
    assert {(one.failure.kind, one.failure.reason) for one in outcomes} == {
        (FailureClass.PERMANENT, "context_length")
    }
    assert len(server.batches) == 1


def test_a_batch_whose_input_is_refused_fails_its_requests(tmp_path: Path) -> None:
    def failed(lines: list[Any]) -> tuple[str, list[Any], list[Any]]:
        return "failed", [], [{"code": "invalid_json", "message": "line 1 is no JSON", "line": 1}]

    outcomes, _ = run(tmp_path, failed)
    assert {(one.failure.kind, one.failure.message) for one in outcomes} == {
        (FailureClass.PERMANENT, "line 1 is no JSON")
    }


def test_requests_that_no_batch_ever_tries_end_as_failures(tmp_path: Path) -> None:
    outcomes, server = run(tmp_path, lambda lines: ("expired", [], []), requests=QUESTIONS[:1])
    assert (outcomes[0].failure.reason, len(server.batches)) == ("batch", 5)


def test_batches_are_cut_by_number_size_and_path(tmp_path: Path) -> None:
    asked = [Asked(str(n), "/chat", b"x" * 10) for n in range(5)] + [Asked("t", "/text", b"x")]
    assert [[one.key for one in batch] for batch in _split(asked, most=3, most_bytes=25)] == [
        ["0", "1"], ["2", "3"], ["4"], ["t"],
    ]  # fmt: skip
    outcomes, server = run(tmp_path, all_shuffled, requests=[*QUESTIONS[:2]])
    assert texts(outcomes) == EXPECTED[:2]
    assert len(server.batches) == 1


class Killed(BaseException):
    """The process dies."""


def killed_and_run_again(
    tmp_path: Path, *, dies: str, outcome: Outcome = all_shuffled, looks: int = 1
) -> tuple[list[Any], BatchServer]:
    """A process that dies after the server has done what it was asked to, and another one after it."""

    async def once() -> tuple[list[Any], BatchServer]:
        async with batch_server(outcome, looks=looks) as server:
            first = openai_batches(server, tmp_path / "j.sqlite", pace=30.0)
            asking = asyncio.ensure_future(ask_all(first, QUESTIONS))
            while not (server.uploads if dies == "upload" else server.batches):
                await asyncio.sleep(0.005)
            if dies == "upload":  # the file is there, and no batch on it
                server.batches.clear()
            if dies in ("upload", "begin"):  # nobody wrote the id down
                first._book._database.execute("UPDATE batches SET id = NULL")
            first._book.close()
            for task in first._tasks:
                task.cancel()
            asking.cancel()
            await asyncio.gather(asking, *first._tasks, return_exceptions=True)
            if dies == "upload":
                server.batches.clear()
            second = openai_batches(server, tmp_path / "j.sqlite")
            try:
                return await ask_all(second, QUESTIONS), server
            finally:
                await second.aclose()

    return asyncio.run(once())


@pytest.mark.parametrize("dies", ["begin", "later"])
def test_a_batch_is_found_again_after_a_kill_and_not_paid_for_twice(tmp_path: Path, dies: str) -> None:
    outcomes, server = killed_and_run_again(tmp_path, dies=dies, looks=2)
    assert texts(outcomes) == EXPECTED
    assert len(server.batches) == 1


def test_a_batch_that_never_began_is_begun_after_a_kill(tmp_path: Path) -> None:
    outcomes, server = killed_and_run_again(tmp_path, dies="upload")
    assert texts(outcomes) == EXPECTED
    assert len(server.batches) == 1


def test_a_batch_that_began_while_the_connection_broke_is_found_by_its_tag(tmp_path: Path) -> None:
    async def once() -> tuple[list[Any], BatchServer]:
        async with batch_server(all_shuffled, dies={"POST /v1/batches"}) as server:
            transport = openai_batches(server, tmp_path / "j.sqlite")
            try:
                return await ask_all(transport, QUESTIONS), server
            finally:
                await transport.aclose()

    outcomes, server = asyncio.run(once())
    assert texts(outcomes) == EXPECTED
    assert len(server.batches) == 1


def test_results_that_nobody_asked_for_yet_are_kept(tmp_path: Path) -> None:
    async def once() -> tuple[list[Any], int]:
        async with batch_server(all_shuffled) as server:
            first = openai_batches(server, tmp_path / "j.sqlite")
            await ask_all(first, QUESTIONS)
            await first.aclose()
            server.batches.clear()  # the provider has forgotten it
            second = openai_batches(server, tmp_path / "j.sqlite")
            try:
                return await ask_all(second, QUESTIONS[3:]), len(server.batches)
            finally:
                await second.aclose()

    outcomes, begun = asyncio.run(once())
    assert (texts(outcomes), begun) == (EXPECTED[3:], 0)


def test_a_wrong_key_is_everybodys_failure(tmp_path: Path) -> None:
    async def once() -> Any:
        async with batch_server(all_shuffled) as server:
            server.answer = lambda *call: (401, b'{"error": {"message": "wrong key"}}')  # type: ignore
            transport = openai_batches(server, tmp_path / "j.sqlite")
            try:
                return await ask_all(transport, QUESTIONS[:2])
            finally:
                await transport.aclose()

    for one in asyncio.run(once()):
        assert isinstance(one, RequestFailed)
        assert one.failure.kind is FailureClass.QUOTA


def of_anthropic(line: dict[str, Any]) -> dict[str, Any]:
    message = {
        "content": [{"type": "text", "text": said(line)}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
    return {"custom_id": line["custom_id"], "result": {"type": "succeeded", "message": message}}


def ended(line: dict[str, Any], kind: str) -> dict[str, Any]:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long"}}
    more = {"error": error} if kind == "errored" else {}
    return {"custom_id": line["custom_id"], "result": {"type": kind, **more}}


def run_anthropic(tmp_path: Path, *outcomes: Outcome, forget: bool = False) -> tuple[list[Any], BatchServer]:
    def batches(server: BatchServer, pace: float) -> BatchTransport:
        form = AnthropicBatches(AnthropicTransport(url=server.url, model="m"), model="m", timeouts=TIMES)
        return BatchTransport(form, model="m", journal=tmp_path / "j.sqlite", linger=0.02, pace=pace)

    async def once() -> tuple[list[Any], BatchServer]:
        async with batch_server(*outcomes) as server:
            transport = batches(server, 30.0 if forget else 0.01)
            if forget:  # it dies before it has written the id down
                server.looks = 2
                asking = asyncio.ensure_future(ask_all(transport, QUESTIONS))
                while not server.batches:
                    await asyncio.sleep(0.005)
                await asyncio.sleep(0.05)
                transport._book._database.execute("UPDATE batches SET id = NULL")
                asking.cancel()
                await transport.aclose()
                transport = batches(server, 0.01)
            try:
                return await ask_all(transport, QUESTIONS), server
            finally:
                await transport.aclose()

    return asyncio.run(once())


def test_anthropics_batches_keep_what_succeeded_and_ask_again_what_was_not_tried(tmp_path: Path) -> None:
    def mixed(lines: list[Any]) -> tuple[str, list[Any], list[Any]]:
        kinds = ["expired", "canceled", "errored"]
        return "", [*map(of_anthropic, lines[3:]), *(map(ended, lines[:3], kinds))], []

    def rest(lines: list[Any]) -> tuple[str, list[Any], list[Any]]:
        return "", [*map(of_anthropic, lines)], []

    outcomes, server = run_anthropic(tmp_path, mixed, rest)
    assert texts(outcomes) == [*EXPECTED[:2], "none", *EXPECTED[3:]]
    assert outcomes[2].failure.reason == "context_length"
    assert [len(lines) for lines in server.lines()] == [6, 2]


def test_anthropics_batch_is_found_again_by_its_time_and_size(tmp_path: Path) -> None:
    outcomes, server = run_anthropic(
        tmp_path, lambda lines: ("", [*map(of_anthropic, lines)], []), forget=True
    )
    assert texts(outcomes) == EXPECTED
    assert len(server.batches) == 1


def test_an_endpoint_that_is_asked_by_batches_takes_its_providers(tmp_path: Path) -> None:
    for api, kind in (("openai", OpenAIBatches), ("anthropic", AnthropicBatches)):
        endpoint = Endpoint(url="http://127.0.0.1:9/v1", model="m", api=api, batch=True)  # type: ignore
        transport = make_transport(endpoint, journal=tmp_path / "j.sqlite")
        assert isinstance(transport, BatchTransport)
        assert isinstance(transport._form, kind)
        asyncio.run(transport.aclose())
        with pytest.raises(ConfigError, match="batch must come with a journal"):
            make_transport(endpoint)


def test_an_engine_counts_a_batch_once_and_at_its_price_however_often_it_is_left(tmp_path: Path) -> None:
    price = Price(model="m", input=10, output=100, batch="0.5", per=1)

    def engine(server: BatchServer, pace: float) -> Engine:
        endpoint = Endpoint(url=server.url, model="m", batch=True, prices=(price,), workers=2)
        return Engine(
            endpoint, openai_batches(server, tmp_path / "j.sqlite", pace=pace), journal=tmp_path / "j.sqlite"
        )

    async def once() -> tuple[list[str], list[Decimal], Spend, int]:
        async with batch_server(all_shuffled, looks=3) as server:
            for _ in range(2):  # left by Ctrl-C
                async with engine(server, 30.0) as first:
                    asking = asyncio.gather(*map(first.ask, QUESTIONS))
                    await asyncio.sleep(0.2)
                    asking.cancel()
                    await asyncio.gather(asking, return_exceptions=True)
            async with engine(server, 0.01) as second:
                replies = await asyncio.gather(*map(second.ask, QUESTIONS))
                costs = [reply.cost or Decimal(0) for reply in replies]
                return [reply.text for reply in replies], costs, second.spending().total, len(server.batches)

    said_, costs, total, begun = asyncio.run(once())
    assert (said_, begun) == (EXPECTED, 1)
    assert costs == [Decimal(115)] * 6  # half of 3 at 10 and 2 at 100
    assert (total.cost, total.unknown_calls, total.unknown_cost) == (Decimal(690), 0, Decimal(0))


def test_what_waits_in_a_batch_is_not_lost_when_its_process_is_killed(tmp_path: Path) -> None:
    def engine(server: BatchServer, journal: Path, pace: float) -> Engine:
        endpoint = Endpoint(url=server.url, model="m", batch=True)
        return Engine(endpoint, openai_batches(server, journal, pace=pace), journal=journal)

    async def once() -> tuple[list[str], Spend, int]:
        async with batch_server(all_shuffled, looks=2) as server:
            async with engine(server, tmp_path / "j.sqlite", 30.0) as first:
                asking = asyncio.gather(*map(first.ask, QUESTIONS))
                while not server.batches:
                    await asyncio.sleep(0.01)
                with closing(sqlite3.connect(tmp_path / "k.sqlite")) as killed:  # as a kill leaves it
                    with closing(sqlite3.connect(tmp_path / "j.sqlite")) as left:
                        left.backup(killed)
                    killed.execute("DELETE FROM lock")
                    killed.commit()
                    assert killed.execute(
                        "SELECT count(*) FROM attempts WHERE state = 'sent'"
                    ).fetchone() == (6,)
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
            async with engine(server, tmp_path / "k.sqlite", 0.01) as second:
                replies = await asyncio.gather(*map(second.ask, QUESTIONS))
                return [reply.text for reply in replies], second.spending().total, len(server.batches)

    said_, total, begun = asyncio.run(once())
    assert (said_, begun, total.calls, total.unknown_calls) == (EXPECTED, 1, 6, 0)
