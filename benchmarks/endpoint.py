"""The request engine beside the bare openai client, its memory, and a rerun from what is kept.

    python benchmarks/endpoint.py [--requests 20000] [--workers 256] [--milliseconds 50] [--profile]

A server in a process of its own answers every call after 50 ms. Engine and bare client ask it in turns, a
share of the requests at a time, so that both meet the same machine; the bare client is as it comes, asks as
many at once, makes no retries and keeps nothing. The rerun asks the same again from the journal. Memory is
the
peak of a process of its own that asks a teacher in the process: for 10,000 rows, for 200,000, and for as many
from a source of `--rows` (a million) that is left then.
"""

import argparse
import asyncio
import cProfile
import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import openai

from limbeck.core.asking import Reply, Request, Usage
from limbeck.endpoint import Answer, Endpoint, Engine, Timeouts
from limbeck.endpoint.transports.making import make_transport

_ROOT = Path(__file__).resolve().parents[1]
_BLOCKS = 10  # turns of each
_SYSTEM = {"role": "system", "content": "You are a careful assistant. Answer in one sentence."}
_CONTEXT = "The rain in Spain stays mainly in the plain, says a line that many learn from. " * 3


def request(number: int) -> Request:
    """A question of a few hundred bytes, another for each number."""
    asked = f"Question {number}: {_CONTEXT} How many words has line {number % 97}?"
    return Request(messages=(_SYSTEM, {"role": "user", "content": asked}), max_tokens=64)


def requests(first: int, count: int) -> Iterator[Request]:
    """So many questions from a number on."""
    return (request(number) for number in range(first, first + count))


class Here:
    """A teacher in the process that answers at once."""

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """An answer of fifty words."""
        await asyncio.sleep(0)
        return Answer(Reply(_CONTEXT[:200], usage=Usage(prompt=60, completion=50)))

    async def aclose(self) -> None:
        """Nothing to close."""


async def bare(url: str, workers: int, asked: Iterator[Request], client: openai.AsyncOpenAI) -> None:
    """The client alone: so many workers ask one question after another."""

    async def worker() -> None:
        for one in asked:
            await client.chat.completions.create(
                model="model",
                messages=list(one.messages),  # type: ignore[arg-type]
                max_tokens=one.max_tokens,
                temperature=one.temperature,
                top_p=one.top_p,
            )

    await asyncio.gather(*(worker() for _ in range(workers)))


async def ours(engine: Engine, asked: Iterator[Request]) -> None:
    """Through the engine, results in order."""
    async for row in engine.map(asked, engine.ask):
        assert row.value is not None, row.failure


async def timed(work: Callable[[], Awaitable[None]]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def beside(url: str, folder: Path, *, count: int, workers: int, profile: bool) -> None:
    """Engine and bare client in turns, then the rerun."""
    endpoint = Endpoint(url=url, model="model", workers=workers)
    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0, timeout=600)
    block = count // _BLOCKS
    async with Engine(endpoint, make_transport(endpoint), journal=folder / "journal.sqlite") as engine:
        await bare(url, workers, requests(-workers, workers), client)  # connections are opened
        await ours(engine, requests(-workers, workers))
        pairs = []
        profiler = cProfile.Profile() if profile else None
        for first in range(0, count, block):
            alone = await timed(lambda first=first: bare(url, workers, requests(first, block), client))
            if profiler is not None:
                profiler.enable()
            with_engine = await timed(lambda first=first: ours(engine, requests(first, block)))
            if profiler is not None:
                profiler.disable()
            pairs.append((alone, with_engine))
    if profiler is not None:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    alone, with_engine = (block / statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    ratios = sorted(one / other for one, other in pairs)
    middle = statistics.median(ratios)
    verdict = "met" if middle >= 0.9 else "MISSED"
    print(
        f"bare client {alone:,.0f} requests/s, engine {with_engine:,.0f} requests/s: ratio {middle:.2f} "
        f"[{ratios[0]:.2f}, {ratios[-1]:.2f}] over {len(ratios)} turns ({verdict}: 0.90)"
    )
    await client.close()


async def rerun(folder: Path, count: int, workers: int, *, profile: bool) -> None:
    """The same rows from what is kept."""
    endpoint = Endpoint(url="http://127.0.0.1:9/v1", model="model", workers=workers)
    profiler = cProfile.Profile() if profile else None
    async with Engine(endpoint, Here(), journal=folder / "journal.sqlite") as engine:
        rates, quiet = [], []
        for turn in range(5):
            if profiler is not None and turn == 4:
                profiler.enable()
            began = time.process_time()
            rates.append(count / await timed(lambda: ours(engine, requests(0, count))))
            quiet.append(count / (time.process_time() - began))
        assert engine.spending().now.calls == 0
    if profiler is not None:
        profiler.disable()
        pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
    middle, alone = statistics.median(rates), statistics.median(quiet)
    verdict = "met" if alone >= 20_000 else "MISSED"
    print(f"rerun {middle:,.0f} rows/s, {alone:,.0f} in a second of one processor ({verdict}: 20,000)")


async def streamed(folder: Path, planned: int, taken: int) -> None:
    """Rows of a source of so many, left after some."""
    endpoint = Endpoint(url="http://127.0.0.1:9/v1", model="model", workers=256)
    began, count = time.perf_counter(), 0
    async with Engine(endpoint, Here(), journal=folder / "journal.sqlite") as engine:
        rows = engine.map(requests(0, planned), engine.ask)
        async for _ in rows:
            count += 1
            if count == taken:
                break
        await rows.aclose()  # type: ignore[attr-defined]
    rate = count / (time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{planned:>9,} rows planned, {count:>9,} asked and kept: peak {peak:,.0f} MB, {rate:,.0f} rows/s")


def main() -> None:
    """All of it, or the memory of one process."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=256)
    parser.add_argument("--milliseconds", type=float, default=50.0)
    parser.add_argument("--rows", type=int, default=1_000_000, help="planned in the longest source")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--streamed", type=int, nargs=2, metavar=("PLANNED", "TAKEN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.streamed:
            asyncio.run(streamed(folder, *options.streamed))
            return
        command = [
            sys.executable,
            "-m",
            "tests.endpoint.fault_server",
            "--seconds",
            str(options.milliseconds / 1000),
        ]
        server = subprocess.Popen(
            command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert server.stdin is not None and server.stdout is not None
        url = server.stdout.readline().strip()
        settings = {"count": options.requests, "workers": options.workers, "profile": options.profile}
        asyncio.run(beside(url, folder, **settings))
        server.stdin.close()
        server.wait()
        asyncio.run(rerun(folder, **settings))
        print(
            f"journal: {(folder / 'journal.sqlite').stat().st_size / options.requests:,.0f} bytes a request"
        )
    for planned, taken in ((10_000, 10_000), (200_000, 200_000), (options.rows, 200_000)):
        environment = os.environ | {"PYTHONPATH": str(_ROOT)}
        words = [sys.executable, __file__, "--streamed", str(planned), str(taken)]
        subprocess.run(words, check=True, env=environment)


if __name__ == "__main__":
    main()
