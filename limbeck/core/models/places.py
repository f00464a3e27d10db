"""Where a model is looked for, how transformers is asked, and what the user is told when there is none."""

import difflib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers.utils import logging as hf_logging

from limbeck.core.errors import ModelError
from limbeck.core.model_words import ModelWord

_NAMED = 3  # folders named in a message
_REASON = 300  # characters of what a library says


def folder_of(word: ModelWord) -> Path:
    """The folder that a word names, whether it is there or not."""
    return Path(word.place).expanduser()


def source_of(word: ModelWord) -> str:
    """What transformers is given: the folder, or the id."""
    folder = folder_of(word)
    return str(folder) if folder.is_dir() else word.place


def asked(word: ModelWord) -> dict[str, Any]:
    """Keywords of every `from_pretrained`: said in full, for transformers asks on the terminal otherwise.

    Raises:
        ModelError: GGUF cannot be read, because its package is not installed.
    """
    options: dict[str, Any] = {"trust_remote_code": word.trust_remote_code}
    if word.revision:
        options["revision"] = word.revision
    if word.gguf_file:
        if importlib.util.find_spec("gguf") is None:
            raise ModelError(
                f"gguf_file must have the package gguf to be read, got {word.gguf_file} without it. "
                "Run: pip install limbeck[gguf]"
            )
        options["gguf_file"] = word.gguf_file
    return options


def check_place(word: ModelWord, *, needs_config: bool = True) -> None:
    """Refuse what can be seen to be no model without asking the hub."""
    path = folder_of(word)
    if path.is_dir():
        _check_folder(word, path, needs_config=needs_config)
        return
    if path.is_file():
        hint = f"Write {{model: {path.parent}, gguf_file: {path.name}}}." if path.suffix == ".gguf" else ""
        raise ModelError(
            f"model must be a folder with a config.json, got the file {path}. {hint or 'Name its folder.'}"
        )
    if word.place.startswith((".", "/", "~")) or word.place.count("/") > 1:
        raise ModelError(
            f"model must be an existing folder with a config.json, got {word.place}, which does not exist."
            + near(path, inside=False)
        )


def _check_folder(word: ModelWord, path: Path, *, needs_config: bool) -> None:
    if word.gguf_file:
        if (path / word.gguf_file).is_file():
            return
        there = ", ".join(sorted(file.name for file in path.glob("*.gguf"))) or "none"
        raise ModelError(f"gguf_file must be a file in {path}, got {word.gguf_file}. There is: {there}.")
    if not needs_config or (path / "config.json").is_file():
        return
    if (path / "adapter_config.json").is_file():
        raise ModelError(
            f"model must be a folder with a config.json, got {path}, which holds LoRA adapters only. "
            "Merge them into their base model (peft: merge_and_unload) and save that."
        )
    found = sorted(file.name for file in path.glob("*.gguf"))
    if found:
        raise ModelError(
            f"model must be a folder with a config.json, got {path}, which holds GGUF. Write "
            f"{{model: {path}, gguf_file: {found[0]}}}."
        )
    raise ModelError(
        f"model must be a folder with a config.json, got {path}, which has none." + near(path, inside=True)
    )


def near(path: Path, *, inside: bool) -> str:
    """A sentence on the models in or beside a place."""
    place = path if inside else path.parent
    folders = sorted(entry.name for entry in place.iterdir() if entry.is_dir()) if place.is_dir() else []
    models = [name for name in folders if (place / name / "config.json").is_file()]
    if not inside:
        models = difflib.get_close_matches(path.name, models, n=1) or models
    if not models:
        return f" There is no model folder in {place} either."
    listed = ", ".join(str(place / name) for name in models[:_NAMED])
    return f" Did you mean {listed}?"


def unreadable(word: ModelWord, error: Exception, role: str = "", file: str = "config.json") -> str:
    """What to say of a model that a library did not read."""
    if "trust_remote_code" in str(error):
        return (
            f"model must be of a class that transformers has, got {word.place}, which brings Python code "
            "of its own. If you trust it, write "
            f"{{model: {word.place}, trust_remote_code: true}}."
        )
    reason = first_line(error)
    if folder_of(word).is_dir():
        return f"{word.said} cannot be read{role}: {reason}"
    revision = f" at revision {word.revision}" if word.revision else ""
    return (
        f"model must be a folder with a {file} or an id on the hub, got '{word.place}': there is no such "
        f"folder, and the hub did not give {file}{role}{revision} ({reason})."
        + near(folder_of(word), inside=False)
    )


def first_line(error: BaseException) -> str:
    """The first line of what a library says, or the name of its error if it says nothing."""
    lines = str(error).strip().split("\n")
    return lines[0][:_REASON] or type(error).__name__


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no loading reports of transformers; its settings come back afterwards."""
    verbosity, bars = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if bars:
            hf_logging.enable_progress_bar()
