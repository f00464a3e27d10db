"""What a run says about itself: environment, merged metrics, the student at the top."""

import json
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import torch

from limbeck import __version__
from limbeck.core.files import read_json_lines, write_folder, write_json, write_text
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Step

_PACKAGES = ("torch", "transformers", "accelerate", "datasets", "safetensors", "peft", "numpy")
METRICS, VERSIONS, STUDENT = "metrics.jsonl", "versions.json", "student"


def environment() -> dict[str, Any]:
    """Versions and machine, as plain data."""
    return {
        "limbeck": __version__,
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
        "machine": {
            "platform": platform.platform(),
            "processor": _processor(),
            "cores": psutil.cpu_count(logical=False),
            "threads": torch.get_num_threads(),
            "memory": psutil.virtual_memory().total,
            "gpus": [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())],
            "cuda": torch.version.cuda,
        },
    }


def write_versions(run: Path, recipe: Recipe) -> None:
    """`versions.json`: environment, command, seeds and time of the last start."""
    seeds = {step.out: step.seed for step in recipe.steps if hasattr(step, "seed")}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(run / VERSIONS, {**environment(), "command": sys.argv, "seeds": seeds, "started": started})


def merge_metrics(run: Path, folders: Sequence[tuple[Step, Path]]) -> None:
    """`metrics.jsonl` of the run: the lines of all steps that wrote some, each with its `phase`.

    A file that is right as far as it goes is added to, so that who follows it sees every line.
    """
    lines = []
    for step, folder in folders:
        lines += [_phased(step.out, line) for line in read_json_lines(folder / METRICS)]
    path, text = run / METRICS, "".join(lines)
    there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    if there and text.startswith(there):
        _append(path, text[len(there) :])
    else:
        write_text(path, text)


class RunMetrics:
    """Keeps `metrics.jsonl` of the run up to date while a step trains."""

    def __init__(self, run: Path, folders: Sequence[tuple[Step, Path]]) -> None:
        """Args: run: its folder; folders: the steps up to the one that trains, with theirs."""
        self._run, self._folders = run, folders
        self._read = 0  # bytes of the training step's own file

    def follow(self) -> None:
        """Add the lines that were written since."""
        step, folder = self._folders[-1]
        path = folder / METRICS
        if not path.is_file():
            return
        if not self._read:
            merge_metrics(self._run, self._folders)
            self._read = path.stat().st_size
            return
        with path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        _append(
            self._run / METRICS, "".join(_phased(step.out, json.loads(line)) for line in new.splitlines())
        )


def _phased(out: str, line: Mapping[str, Any]) -> str:
    return json.dumps({"phase": out, **line}) + "\n"


def _append(path: Path, text: str) -> None:
    if text:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)


def copy_student(run: Path, model: Path) -> None:
    """The last model that a step made, as a folder of its own that can be moved."""
    write_folder(run / STUDENT, lambda temporary: _copy(model, temporary))


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )
