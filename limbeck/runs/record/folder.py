"""The run folder: whose it is, what lies where, which steps are done."""

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from limbeck.core.errors import ConfigError, Problem, RunFolderError
from limbeck.core.files import (
    clear_leftovers,
    is_leftover,
    read_mapping,
    sync_below,
    write_json,
    write_text,
)
from limbeck.core.template import today
from limbeck.recipes.effects import with_effect
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Step
from limbeck.recipes.text import read_yaml, write_yaml
from limbeck.runs.checking.problems import merged
from limbeck.runs.record.artefacts import UNFINISHED, check_unchanged, checksums

if TYPE_CHECKING:
    from limbeck.runs.record.fingerprints import StepFingerprint

RECIPE, DONE, BEGUN, LOCK = "recipe.yaml", "done.json", "begun.json", ".lock"
PAUSED, YIELD = "paused.json", "yield.json"
DATE = "template_date.txt"
_WHAT_TO_DO = "Choose another folder with --out, or recompute what changed here with --overwrite."
_OTHER = "Choose another folder with --out."
_NAMED = 8  # differing fields in a message


@dataclass(frozen=True)
class StepRecord:
    """A finished step, as its `done.json` says.

    Attributes:
        fingerprint: of configuration and everything read.
        reads: fingerprint of each thing read.
        kind: of the step.
        out: what it made.
        seconds: it took, interruptions left out.
        tokens: read in training, or written by a teacher.
        notes: sentences for the report (what was cut, left out, initialised).
        said: what the step did, as a sentence without its full stop.
        planned: seconds that the plan gave it; None where it could not say.
        peak_memory: bytes that the process held at most up to the end of the step (on a GPU: that the step
            held there).
        example: a row as the model reads it (`runs.steps.work.Made`).
        files: checksum of each file it made (`runs.record.artefacts`).
    """

    fingerprint: str
    reads: Mapping[str, str]
    kind: str
    out: str
    seconds: float
    tokens: int = 0
    notes: tuple[str, ...] = ()
    said: str = ""
    planned: float | None = None
    peak_memory: int = 0
    example: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)


class RunFolder:
    """A folder that holds one run; made when it is claimed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def step(self, place: int, step: Step) -> Path:
        """The folder of a step."""
        return self.path / "steps" / f"{place}-{step.kind}-{step.out}"

    def check(self, data: Mapping[str, Any], *, overwrite: bool, is_whole: bool = True) -> None:
        """Refuse a folder that holds something else.

        Args:
            data: the recipe as plain data.
            overwrite: allow a run of another recipe.
            is_whole: False where `data` has mistakes: only its name is then compared.

        Raises:
            RunFolderError: files that are no run, or a run of another recipe (unless `overwrite`).
        """
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(
                f"run folder must be a folder, got the file {self.path}. Choose another with --out."
            )
        entries = list(self.path.iterdir()) if self.path.is_dir() else []
        # What a run writes first may be killed while it is written.
        held = [entry for entry in entries if entry.name != LOCK and not _is_own_leftover(entry.name)]
        if not held:
            return
        if not (self.path / RECIPE).is_file():
            raise RunFolderError(
                f"run folder must be new, empty or an earlier run, got {self.path}, which holds other files "
                f"({', '.join(sorted(entry.name for entry in held)[:3])}, ...). Choose another with --out."
            )
        if overwrite:
            return
        there = self._held()
        if there.get("name") != data.get("name"):
            names = (
                f"already contains a run of {there.get('name')}, this is {data.get('name')}. {_WHAT_TO_DO}"
            )
            raise RunFolderError(Problem(str(self.path), names))
        changes = differences(_with_effect(there), _with_effect(data)) if is_whole else []
        if changes:
            shown = merged([Problem(where, f"was {old}, now {new}.") for where, old, new in changes])
            raise RunFolderError(
                [
                    Problem(str(self.path), f"already contains a run with other settings. {_WHAT_TO_DO}"),
                    *shown[:_NAMED],
                    *([Problem("", f"and {len(shown) - _NAMED} more.")] if len(shown) > _NAMED else []),
                ]
            )

    def _held(self) -> dict[str, Any]:
        try:
            held = read_yaml((self.path / RECIPE).read_text(encoding="utf-8"))
        except (ConfigError, UnicodeDecodeError):
            held = None
        if not isinstance(held, dict):
            raise RunFolderError(
                Problem(str(self.path / RECIPE), "must be the recipe of a run, got other text. " + _OTHER)
            )
        try:
            return Recipe.from_data(held).to_data()  # the record has every value; compare what a file shows
        except ConfigError:
            return held  # made by a version that knew other fields: every difference counts

    def check_step(self, place: int, step: Step, mark: "StepFingerprint", *, overwrite: bool) -> bool:
        """Whether a step is done and can be taken as it is.

        Raises:
            RunFolderError: it was done, or begun, from other data or models (unless `overwrite`).
        """
        folder = self.step(place, step)
        for name, there in ((DONE, _read_done(folder / DONE)), (BEGUN, _read_begun(folder / BEGUN))):
            if there is None:  # none, or cut off: then it was not finished
                continue
            if there["fingerprint"] == mark.value:
                return name == DONE
            if not overwrite:
                changed = _changed_reads(there["reads"], mark.reads)
                raise RunFolderError(Problem(str(folder), f"was made from other {changed}. {_WHAT_TO_DO}"))
            return False
        return False

    def template_date(self) -> date:
        """The day that chat templates write as today's: of the first start, so that rows stay as they are."""
        try:
            return date.fromisoformat((self.path / DATE).read_text(encoding="ascii").strip())
        except (OSError, ValueError):  # none yet, or cut off
            return today()

    def check_free(self) -> None:
        """Refuse a folder in which another process works, before anything is looked at.

        Raises:
            RunFolderError: another process holds it.
        """
        if (self.path / LOCK).is_file():
            with (self.path / LOCK).open("r+") as file:
                self._lock(file)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the folder's lock: two processes cannot work in one run.

        Raises:
            RunFolderError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        # Opened for appending: the holder's process id must not be cut off by one who only tries.
        with (self.path / LOCK).open("a+") as file:
            self._lock(file)
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            clear_leftovers(self.path, below=False)
            yield

    def _lock(self, file: TextIO) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise RunFolderError(
                f"run folder must be used by one process at a time, got {self.path}, which process "
                f"{file.read().strip() or '?'} is using. Wait for it, or choose another with --out."
            ) from None

    def keep_only(self, recipe: Recipe, marks: list["StepFingerprint"]) -> None:
        """Before overwriting: move finished steps to their new numbers, and drop what the recipe lacks."""
        parent = self.path / "steps"
        if not parent.is_dir():
            return
        done = {}
        for folder in sorted(parent.iterdir()):
            made = _read_done(folder / DONE)
            if made is not None:
                done[made["fingerprint"]] = folder
        wanted = {
            self.step(place, step): mark.value
            for place, (step, mark) in enumerate(zip(recipe.steps, marks, strict=True))
        }
        moving = []
        for target, value in wanted.items():
            source = done.get(value)
            if source is not None and source != target:
                waiting = parent / f".moving-{target.name}"
                source.rename(waiting)
                moving.append((waiting, target))
        waits = {waiting for waiting, _ in moving}  # others that are called so are of a move that was killed
        for folder in list(parent.iterdir()):
            there = _read_done(folder / DONE) or _read_begun(folder / BEGUN)
            is_wanted = there is not None and wanted.get(folder) == there["fingerprint"]
            if folder not in waits and not is_wanted:
                shutil.rmtree(folder)
        for waiting, target in moving:
            waiting.rename(target)

    def begin(self, place: int, step: Step, mark: "StepFingerprint") -> Path:
        """The folder of a step that is not done; empty, unless the same step was begun there before."""
        folder = self.step(place, step)
        begun = _read_begun(folder / BEGUN)
        if folder.exists() and (begun is None or begun["fingerprint"] != mark.value):
            shutil.rmtree(folder)
        (folder / DONE).unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        write_json(folder / BEGUN, {"fingerprint": mark.value, "reads": dict(mark.reads)})
        return folder

    def finish(self, place: int, step: Step, done: StepRecord) -> None:
        """Mark a step as done; the last thing written in its folder, when the rest is on the disk."""
        folder = self.step(place, step)
        clear_leftovers(folder)
        sync_below(folder)
        made = replace(done, files=checksums(folder))
        write_json(folder / DONE, asdict(made) | {"notes": list(done.notes)})

    def pause(self, place: int, step: Step, *, why: str, message: str) -> None:
        """Say that the run waits, and for what; the same command goes on."""
        waits = {"state": "paused", "why": why, "message": message, "step": self.step(place, step).name}
        write_json(self.path / PAUSED, waits)

    def go_on(self) -> None:
        """The run waits no longer."""
        (self.path / PAUSED).unlink(missing_ok=True)

    def check_made(self, place: int, step: Step) -> None:
        """Refuse a finished step whose files are not as it made them.

        Raises:
            RunFolderError: names each file.
        """
        check_unchanged(self.step(place, step), self.done(place, step).files)

    def tidy(self, place: int, step: Step) -> None:
        """Drop what only an unfinished step needs; a kill right after its end may have left some."""
        folder = self.step(place, step)
        for name in UNFINISHED:
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / BEGUN).unlink(missing_ok=True)
        clear_leftovers(folder)

    def done(self, place: int, step: Step) -> StepRecord:
        """What a finished step said."""
        values = _read_done(self.step(place, step) / DONE)
        assert values is not None, "asked for a finished step"
        return StepRecord(**(values | {"notes": tuple(values["notes"])}))

    def write_recipe(self, recipe: Recipe) -> None:
        """The resolved recipe, beside what it made."""
        write_text(self.path / RECIPE, write_yaml(recipe.resolved()))

    def write_template_date(self, day: date) -> None:
        """Keep the day for every later start (see `template_date`)."""
        write_text(self.path / DATE, f"{day.isoformat()}\n")


def _is_own_leftover(name: str) -> bool:
    return is_leftover(name) and name.startswith(f".{RECIPE}.")


def _read_done(path: Path) -> dict[str, Any] | None:
    """What a finished step said; None where the file is missing or damaged."""
    found = _read_begun(path)
    try:
        return None if found is None or not StepRecord(**found).out else found
    except TypeError:
        return None


def _read_begun(path: Path) -> dict[str, Any] | None:
    found = read_mapping(path)
    if found is None or not isinstance(found.get("fingerprint"), str):
        return None
    return found if isinstance(found.get("reads"), dict) else None


def _with_effect(data: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe's plain data without what changes no result."""
    steps = [{kind: with_effect(kind, fields)} for step in data["steps"] for kind, fields in step.items()]
    return {**data, "steps": steps}


def differences(there: Any, here: Any, where: str = "") -> list[tuple[str, str, str]]:
    """Places where two pieces of plain data differ: (path, value there, value here), values never nested."""
    there, here = _alike(there, here), _alike(here, there)
    if isinstance(there, dict) and isinstance(here, dict):
        keys = list(dict.fromkeys([*there, *here]))
        return [item for key in keys for item in differences(there.get(key), here.get(key), f"{where}{key}.")]
    if isinstance(there, list) and isinstance(here, list):
        count = max(len(there), len(here))
        pairs = [(_at(there, place), _at(here, place)) for place in range(count)]
        return [item for place, (a, b) in enumerate(pairs) for item in differences(a, b, f"{where}{place}.")]
    return [] if there == here else [(where.rstrip("."), _said(there), _said(here))]


def _alike(value: Any, other: Any) -> Any:
    """An empty mapping or list where the other side has one and this side has nothing."""
    return type(other)() if value is None and isinstance(other, dict | list) and other else value


def _at(values: list[Any], place: int) -> Any:
    return values[place] if place < len(values) else None


def _said(value: Any) -> str:
    return "unset" if value is None else "other fields" if isinstance(value, dict | list) else str(value)


def _changed_reads(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    changed = [name for name in here if there.get(name) != here[name]]
    return f"{', '.join(changed)}: changed since" if changed else "settings, or by another version of limbeck"
