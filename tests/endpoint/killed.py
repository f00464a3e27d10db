"""Runs of the engine in processes that can be killed: started by `test_kills.py`.

A line of JSON on standard input starts a run in a process of its own, which costs no second import. Its id is
printed, and when it is over how it ended.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from limbeck.core.asking import Reply
from limbeck.endpoint import Endpoint, Engine
from tests.endpoint.plain import Plain
from tests.endpoint.scripted import question

PRICE = {"model": "*", "input": 1, "output": 2}


async def _run(url: str, folder: str, rows: int, workers: int) -> None:
    endpoint = Endpoint(url=url, model="model", workers=workers, prices=[PRICE])
    export = []
    async with Engine(endpoint, Plain(url, "model"), journal=Path(folder) / "journal.sqlite") as engine:
        async for row in engine.map((question(f"q{number}", seed=1) for number in range(rows)), engine.ask):
            assert row.value is not None, row.failure
            export.append(json.dumps(_exported(row.value)))
    Path(folder, "export.jsonl").write_text("\n".join(export))


def _exported(reply: Reply) -> dict[str, Any]:
    return {"key": reply.key, "text": reply.text, "usage": str(reply.usage), "cost": str(reply.cost)}


def _main() -> None:
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            try:
                asyncio.run(_run(**json.loads(line)))
            except BaseException as error:
                print(repr(error), file=sys.stderr)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _main()
