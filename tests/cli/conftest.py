"""The command line in this process (fast), with what it printed and its exit code."""

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from limbeck.cli.main import main
from tests.runs.world import make_world


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """What was said, a problem a line, with places and messages joined again."""
        return self.err.replace("\n    ", " ").strip().split("\n")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def limbeck(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """`limbeck("run", "word_kd", ...)` in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def call(*words: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["limbeck", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        printed = capsys.readouterr()
        return Ended(code, printed.out, printed.err)

    return call
