"""`python -m tests.torture [--quick] [--only CASE]`: a table with every line right or wrong."""

import argparse
import importlib
import os
import pkgutil
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import limbeck
from tests.torture import trial
from tests.torture.cases import Case, cases
from tests.torture.damage import damages
from tests.torture.state import difference, files_of, stable

_FAULT = ("Traceback", "fault of limbeck")
_SIZES = [int(100 * 1.6**power) for power in range(20)]  # bytes, 100 to 750,000


@dataclass
class Line:
    """A line of the table."""

    case: str
    what: str
    right: int = 0
    wrong: list[str] = field(default_factory=list)

    def note(self, where: str, problem: str) -> None:
        """Count a trial."""
        if problem:
            self.wrong.append(f"{where}: {problem}")
        else:
            self.right += 1


@dataclass
class Torture:
    """One case with what it leaves undisturbed."""

    case: Case
    base: Path
    quick: bool
    moments: random.Random
    events: int = 0
    seconds: float = 0.0
    wanted: dict[str, str | None] = field(default_factory=dict)

    def prepare(self) -> None:
        """Two undisturbed runs: how long, how many events, and what must come out."""
        left = []
        for name in ("one", "two"):
            folder, count = self.base / name, self.base / "events"
            ended = trial.run(
                self.case.command(folder), self.base / "log", before=trial.counting(folder, count)
            )
            assert ended.code == 0, ended.said
            self.events, self.seconds = int(count.read_text()), ended.seconds
            left.append(files_of(folder))
        self.wanted = stable(*left)

    def kills(self) -> Line:
        """SIGKILL before every event."""
        line = Line(self.case.name, "killed at every change of a file")
        for number in self._some(range(self.events), 2):
            folder = self._fresh()
            self._run(folder, before=trial.killed_at(folder, number))
            line.note(f"event {number}", self._ends_right(folder))
        return line

    def signals(self) -> Line:
        """SIGKILL, SIGTERM and SIGINT at random moments."""
        line = Line(self.case.name, "killed, ended or interrupted at random")
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT) * (1 if self.quick else 6):
            folder = self._fresh()
            send = trial.signalled(number, self.seconds, self.moments)
            ended = self._run(folder, meanwhile=send)
            is_heard = ended.code in (0, trial.INTERRUPTED, -number)
            said = "" if is_heard else f"exit {ended.code}: {_last(ended.said)}"
            line.note(number.name, said or self._ends_right(folder))
        return line

    def refusals(self) -> Line:
        """A full disk at every event, and for files of every size."""
        line = Line(self.case.name, "disk full at every write")
        tries: list[tuple[str, Callable[[Path], Callable[[], None]]]] = [
            (f"event {number}", lambda folder, number=number: trial.refused_at(folder, number))  # type: ignore[misc]
            for number in self._some(range(self.events), 1)
        ]
        tries += [
            (f"files of {size} bytes", lambda folder, size=size: trial.limited_to(size))  # type: ignore[misc]
            for size in self._some(_SIZES, 1)
        ]
        for where, make in tries:
            folder = self._fresh()
            ended = self._run(folder, before=make(folder))
            problem = "" if ended.code in (0, 2) else f"exit {ended.code}: {_last(ended.said)}"
            line.note(where, problem or self._ends_right(folder))
        return line

    def damage(self) -> list[Line]:
        """Every file of a finished and of a half-done run, damaged in every way."""
        finished, half = self._fresh("finished"), self._fresh("half")
        self._run(finished)
        number = self._half()
        self._run(half, before=trial.killed_at(half, number))
        return [
            self._damaged(finished, "finished, a file damaged", stays=True),
            self._damaged(half, "half done, a file damaged", stays=False),
        ]

    def _half(self) -> int:
        return int(self.events * 0.6)

    def _damaged(self, state: Path, what: str, *, stays: bool) -> Line:
        """Damage to a file that nobody reads any more `stays`; whoever reads it later refuses it."""
        line = Line(self.case.name, what)
        for path, way, damage in self._some(list(damages(state)), 3):
            folder = self._fresh()
            shutil.copytree(state, folder)
            name = path.relative_to(state).as_posix()
            damage(folder / name)
            ended = self._run(folder)
            if ended.code == 2 and not any(word in ended.said for word in _FAULT):
                problem = ""  # refused, in a sentence
            elif ended.code != 0:
                problem = f"exit {ended.code}: {_last(ended.said)}"
            else:
                if stays and not (folder / name).exists():
                    shutil.copyfile(state / name, folder / name)
                wanted = self.wanted | ({name: None} if stays else {})
                problem = difference(wanted, folder)
            line.note(f"{name} {way}", problem)
        return line

    def _ends_right(self, folder: Path) -> str:
        ended = self._run(folder)
        return self._difference(folder) if ended.code == 0 else f"then exit {ended.code}: {_last(ended.said)}"

    def _difference(self, folder: Path) -> str:
        return difference(self.wanted, folder)

    def _run(self, folder: Path, **options: object) -> trial.Ended:
        return trial.run(self.case.command(folder), self.base / "log", **options)  # type: ignore[arg-type]

    def _fresh(self, name: str = "trial") -> Path:
        folder = self.base / name
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def _some(self, values: object, quick: int) -> list:  # type: ignore[type-arg]
        found = list(values)  # type: ignore[call-overload]
        if not self.quick or len(found) <= quick:
            return found
        return [found[place] for place in sorted(self.moments.sample(range(len(found)), quick))]


def _last(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith("error")] or said.splitlines()[-1:]
    return lines[0][:160] if lines else "nothing said"


def _make_world(base: Path) -> Path:
    world = base / "world"

    def make() -> None:
        from tests.runs.world import make_world

        make_world(world)
        os._exit(0)

    ended = trial.run([], base / "log", before=make)
    assert ended.code == 0, ended.said
    return world


def _import() -> None:
    """All that a trial can need: imported once, and as the files are now."""
    for module in pkgutil.walk_packages(limbeck.__path__, "limbeck."):
        if not module.name.endswith(("__main__", "cli.main")):
            importlib.import_module(module.name)
    importlib.import_module("tests.runs.world")


def main() -> None:
    """Torture, print, and end with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a sample: 13 trials a case")
    parser.add_argument("--only", help="one of the cases")
    parser.add_argument("--seed", type=int, default=0, help="of the sample and the random moments")
    options = parser.parse_args()
    started, lines = time.perf_counter(), []
    from limbeck.cli.quiet import silence

    silence()
    _import()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder:
        base = Path(folder).resolve()
        os.environ["LIMBECK_CACHE"] = str(base / "cache")
        for case in cases(_make_world(base)):
            if options.only in (None, case.name):
                torture = Torture(case, base / case.name, options.quick, random.Random(options.seed))
                torture.base.mkdir()
                torture.prepare()
                for line in (torture.kills(), torture.signals(), torture.refusals(), *torture.damage()):
                    lines.append(line)
                    _print(line)
    wrong = sum(len(line.wrong) for line in lines)
    right = sum(line.right for line in lines)
    print(f"{right} of {right + wrong} right, in {time.perf_counter() - started:.0f} s")
    sys.exit(1 if wrong else 0)


def _print(line: Line) -> None:
    total = line.right + len(line.wrong)
    verdict = "right" if not line.wrong else "WRONG"
    print(f"{line.case:<10} {line.what:<42} {line.right:>4} of {total:<4} {verdict}", flush=True)
    for problem in line.wrong:
        print(f"           {problem}", flush=True)


if __name__ == "__main__":
    main()
