"""Reading rows as they lie: files, folders, data saved by `datasets`, hub ids, the standard library."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets
from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.core.lookup import did_you_mean
from limbeck.rows.formats import READERS, read_file
from limbeck.rows.problems import broken_lines, missing_data, refuse_rows
from limbeck.rows.standard_library import standard_library_files

STANDARD_LIBRARY = "standard_library"
_DATASETS_LOG = logging.getLogger("datasets")
SOURCE_SUFFIXES = frozenset({".py", ".txt", ".md"})
_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules"})


@dataclass(frozen=True)
class Part:
    """Rows from one place and, row by row, the id each has unless it brings its own."""

    rows: Dataset
    ids: Sequence[str]


def read(path: str, split: str | None) -> list[Part]:
    """The rows at `path`, one part a file; columns as they were found.

    Raises:
        ConfigError: there is nothing at `path`, or `split` is not there.
        RowError: a file cannot be read as what its name says.
    """
    place = Path(path).expanduser()
    if path == STANDARD_LIBRARY:
        return [_standard_library()]
    if place.is_file():
        return [_by_split_column(_file(place, place.name), split, place)]
    if place.is_dir():
        return _folder(place, split)
    missing = missing_data(path)
    if missing:
        raise ConfigError(missing)
    return [_hub(path, split)]


def _file(path: Path, name: str) -> Part:
    try:
        rows = read_file(path)
    except RowError:
        if path.suffix == ".jsonl":
            refuse_rows(broken_lines(path))
        raise
    ids = [f"{name}:{number}" for number in range(1, len(rows) + 1)]
    if path.suffix != ".txt":
        return Part(rows, ids)
    lines = [index for index, line in enumerate(rows["text"]) if line.strip()]
    return Part(rows.select(lines), [ids[index] for index in lines])


def _folder(folder: Path, split: str | None) -> list[Part]:
    if (folder / "dataset_dict.json").is_file():
        return [_chosen(datasets.load_from_disk(str(folder)), split, str(folder))]
    if (folder / "state.json").is_file():
        rows = datasets.load_from_disk(str(folder))
        part = Part(rows, [f"{folder.name}:{number}" for number in range(1, len(rows) + 1)])
        return [_by_split_column(part, split, folder)]
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and _is_visible(file, folder)]
    tables = [file for file in files if file.suffix in READERS and file.suffix != ".txt"]
    if tables:
        chosen = [file for file in tables if split is None or split in _words(file.relative_to(folder))]
        if not chosen:
            names = {word for file in tables for word in _words(file.relative_to(folder))}
            hint = did_you_mean(str(split), names)
            raise ConfigError(f"split must be a word in a file's name below {folder}, got '{split}'.{hint}")
        return [_file(file, file.relative_to(folder).as_posix()) for file in chosen]
    sources = [file for file in files if file.suffix in SOURCE_SUFFIXES]
    if not sources:
        raise ConfigError(
            f"a data folder must hold {', '.join(sorted(set(READERS) | SOURCE_SUFFIXES))} files or be saved "
            f"by datasets' save_to_disk, got {folder} with {len(files)} other files. Name another folder."
        )
    return [_source_files(folder, sources)]


def _source_files(folder: Path, files: Sequence[Path]) -> Part:
    texts, problems = {}, []
    for file in files:
        name = file.relative_to(folder).as_posix()
        try:
            texts[name] = file.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            problems.append(Problem(str(file), f"must be UTF-8 text, got {error.reason}."))
    refuse_rows(problems, "Convert these files or move them out of the folder.")
    kept = {name: text for name, text in texts.items() if text.strip()}
    return Part(Dataset.from_dict({"text": list(kept.values())}), list(kept))


def _standard_library() -> Part:
    files = standard_library_files()
    rows = Dataset.from_dict(
        {"text": [file.text for file in files], "heldout": [file.heldout for file in files]}
    )
    return Part(rows, [file.name for file in files])


def hub_commit(name: str) -> str:
    """The commit that a hub id stands for now; without a connection, the one that lies in the cache.

    Raises:
        ConfigError: the hub does not give it, and it is in no cache.
    """
    with _hub_said(name):
        repository, _, configuration = name.partition(":")
        return str(datasets.load_dataset_builder(repository, configuration or None).hash)


def _hub(name: str, split: str | None) -> Part:
    repository, _, configuration = name.partition(":")
    with _hub_said(name):
        loaded = datasets.load_dataset(repository, configuration or None)
    return _chosen(loaded, split, name)


@contextmanager
def _hub_said(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        why = str(error).strip().splitlines()[0]
        raise ConfigError(
            f"data must be a file, a folder or a hub id that can be reached, got {name}; no file or folder "
            f"has that name, and the hub says: {why}. Check the name, or give the path of downloaded data."
        ) from error


def _chosen(splits: Mapping[str, Dataset], split: str | None, where: str) -> Part:
    if split is None and len(splits) == 1:
        split = next(iter(splits))
    if split is None or split not in splits:
        raise ConfigError(
            f"split must be one of {', '.join(splits)} for {where}, got {split}. "
            f"Set split: {next(iter(splits))}."
        )
    rows = splits[split]
    return Part(rows, [f"{split}:{number}" for number in range(1, len(rows) + 1)])


def _by_split_column(part: Part, split: str | None, path: Path) -> Part:
    if split is None:
        return part
    values = part.rows["split"] if "split" in part.rows.column_names else []
    kept = [index for index, value in enumerate(values) if value == split]
    if not kept:
        found = f"the values {', '.join(sorted(set(map(str, values))))}" if values else "no such column"
        raise ConfigError(
            f"split must be a value of the column `split` of {path}, got '{split}'; the file has {found}. "
            "Leave split out, or name one of these values."
        )
    return Part(part.rows.select(kept), [part.ids[index] for index in kept])


def _words(path: Path) -> set[str]:
    return {word for part in path.parts for word in re.split(r"[^a-zA-Z0-9]+", part) if word}


def _is_visible(file: Path, folder: Path) -> bool:
    parts = file.relative_to(folder).parts
    return _SKIPPED_FOLDERS.isdisjoint(parts) and not any(part.startswith(".") for part in parts)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars of datasets, which would tear limbeck's own, and its lines on bad files."""
    were_off = datasets.are_progress_bars_disabled()
    level = _DATASETS_LOG.level
    datasets.disable_progress_bars()
    _DATASETS_LOG.setLevel(logging.CRITICAL)  # what it says of a broken file is raised as well
    try:
        yield
    finally:
        _DATASETS_LOG.setLevel(level)
        if not were_off:
            datasets.enable_progress_bars()
