"""Runs in processes of their own, killed when the server has been called so often."""

import json
import multiprocessing
import os
import time
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from tests.endpoint.fault_server import FaultServer

_SPAWN = multiprocessing.get_context("forkserver")
# Imported once, and not by each run: a second and more on a busy machine.
_SPAWN.set_forkserver_preload(["tests.runs.killed_run"])
_WAIT = 120.0  # seconds for a run to end by itself


def run_killed(recipe: Path, out: Path, server: FaultServer, *, calls: int) -> int | None:
    """Start a run; `kill -9` it once the server has had so many more calls. The exit code."""
    before, process = len(server.calls), start(recipe, out)
    while process.is_alive() and len(server.calls) - before < calls:
        time.sleep(0.001)
    process.kill()
    process.join()
    return process.exitcode


def run_whole(recipe: Path, out: Path) -> int | None:
    """A run to its end. The exit code."""
    process = start(recipe, out)
    process.join(_WAIT)
    process.kill()
    process.join()
    return process.exitcode


def start(recipe: Path, out: Path) -> BaseProcess:
    """`limbeck run` of a recipe file."""
    from tests.runs.killed_run import run

    process = _SPAWN.Process(target=run, args=(str(recipe), str(out), dict(os.environ)))
    process.start()
    return process


def asked_for(body: Mapping[str, Any]) -> str:
    """What makes two calls the same question: turns and seed."""
    return json.dumps([body.get("messages"), body.get("prompt"), body.get("seed")], sort_keys=True)
