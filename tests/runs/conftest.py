"""One world for all tests of runs; reports are drawn only where they are the subject."""

import os
from pathlib import Path

import pytest

from limbeck.runs import execute
from tests.endpoint.llama_server import llama_server
from tests.runs.world import make_world

__all__ = ["llama_server"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def no_report(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_report" not in request.fixturenames:
        monkeypatch.setattr(execute, "write_report", lambda run: (run.path / "report.html").touch())


@pytest.fixture
def real_report() -> None:
    """Asked for by tests that want the report drawn."""


@pytest.fixture
def moments() -> int:
    """At how many moments runs are killed; tests/torture takes more."""
    return int(os.environ.get("LIMBECK_MOMENTS", "5"))
