"""Reading rows as they lie: files, folders, data saved by `datasets`, hub ids, the standard library."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import did_you_mean
from limbeck.rows.columns import Column, Part, texts_column
from limbeck.rows.formats import Reading, part_of, read_file
from limbeck.rows.opening import open_text
from limbeck.rows.patterns import is_pattern, matched
from limbeck.rows.problems import missing_data, refuse_rows
from limbeck.rows.standard_library import standard_library_files
from limbeck.rows.suffixes import DATA_SUFFIXES, SOURCE_SUFFIXES, is_data, suffix_of

STANDARD_LIBRARY = "standard_library"
_DATASETS_LOG = logging.getLogger("datasets")
_SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules"})
_ABOUT_DATA = frozenset(
    {"dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json", "metadata.json"}
)  # beside the data in clones of hub repositories; they hold no rows
_SPLITS: Mapping[str, str] = {
    "train": "train", "training": "train",
    "test": "test", "testing": "test",
    "validation": "validation", "valid": "validation", "val": "validation",
    "dev": "dev", "eval": "eval", "heldout": "heldout", "holdout": "holdout",
    "trn": "train", "trainset": "train", "traindata": "train", "tst": "test", "testset": "test",
    "testdata": "test", "validate": "validation", "validset": "validation", "devset": "dev",
    "evaluation": "eval", "evalset": "eval",
}  # fmt: skip
_SPLIT_COLUMNS = frozenset({"split", "set", "partition", "subset", "data_split", "dataset_split", "phase"})
_SPLIT_MARKS: Mapping[str, tuple[str, str]] = {"is_train": ("train", "test"), "is_test": ("test", "train")}
"""Columns of truth values -> the split of rows where they are true, and where false."""
_MOST_SPLITS = 12  # a column `split` with more values is about something else


@dataclass(frozen=True)
class _File:
    path: Path
    name: str

    @property
    def words(self) -> set[str]:
        """Of its name, also without numbers behind them."""
        name = re.sub("held[^a-z]?out", "heldout", self.name.lower())
        found = {word for word in re.split(r"[^a-z0-9]+", name) if word}
        return found | {short for word in found if (short := word.rstrip("0123456789"))}

    @property
    def split(self) -> str | None:
        """What its name says it is for: `train` of `data/train-0.jsonl`."""
        return next((_SPLITS[word] for word in sorted(self.words) if word in _SPLITS), None)


def read(
    path: str, split: str | None = None, *, limit: int | None = None, encoding: str | None = None
) -> list[Part]:
    """The rows at `path`, one part a file; columns as they were found.

    Args:
        path: see `rows.load.load_rows`.
        split: see there.
        limit: rows that are needed, from the front; a part may hold more.
        encoding: of text files; None: by their byte order mark, else UTF-8.

    Raises:
        ConfigError: there is nothing at `path`, or `split` is not there or has to be said.
        RowError: a file cannot be read as what its name says.
    """
    if path == STANDARD_LIBRARY:
        return [_standard_library()]
    place = Path(path).expanduser()
    if (place / "dataset_dict.json").is_file():
        return [_chosen(datasets.load_from_disk(str(place)), split, path)]
    if (place / "state.json").is_file():
        return _by_split_column([part_of(datasets.load_from_disk(str(place)), place.name)], split, path)
    files = _files(path)
    if files is None:
        return [_hub(path, split)]
    if _are_documents(files, place):
        return [_source_files(files, encoding)]
    if len(files) > 1:
        files, split = _by_name(files, split, path)
    parts = _read_files(files, split, limit if split is None else None, encoding)
    return _by_split_column(parts, split, path)


def files_of(path: str) -> list[Path]:
    """The files that `read` looks at for `path`, whatever the split; none for hub ids and the like."""
    place = Path(path).expanduser()
    if (place / "dataset_dict.json").is_file() or (place / "state.json").is_file():
        return sorted(file for file in place.rglob("*") if file.is_file())
    return [] if path == STANDARD_LIBRARY else [file.path for file in _files(path) or []]


def _files(path: str) -> list[_File] | None:
    """The files of a path, a folder or a pattern; None where it can only be a hub id."""
    place = Path(path).expanduser()
    if place.is_file():
        return [_File(place, place.name)]
    if place.is_dir():
        return _of_folder(place)
    missing = missing_data(path)
    if missing:
        raise ConfigError(missing)
    return _of_pattern(path) if is_pattern(path) else None


def _are_documents(files: Sequence[_File], place: Path) -> bool:
    """Whether each file is a row: files that are no tables, and in a folder of these also .txt files."""
    tables = {suffix_of(file.path) for file in files} & DATA_SUFFIXES
    return tables <= {".txt"} if place.is_dir() else not tables


def _of_pattern(pattern: str) -> list[_File]:
    found = matched(pattern)
    root = Path(os.path.commonpath([file.parent for file in found]))
    return [_File(file, file.relative_to(root).as_posix()) for file in found]


def _of_folder(folder: Path) -> list[_File]:
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and _is_visible(file, folder)]
    tables = [file for file in files if is_data(file) and suffix_of(file) != ".txt"]
    tables = [file for file in tables if file.name not in _ABOUT_DATA]
    found = tables or [file for file in files if suffix_of(file) in SOURCE_SUFFIXES]
    if not found:
        raise ConfigError(
            f"a data folder must hold {', '.join(sorted(DATA_SUFFIXES | SOURCE_SUFFIXES))} files or be saved "
            f"by datasets' save_to_disk, got {folder} with {len(files)} other files. Name another folder."
        )
    return [_File(file, file.relative_to(folder).as_posix()) for file in found]


def _by_name(files: list[_File], split: str | None, path: str) -> tuple[list[_File], str | None]:
    """The files of a split, and the split where a column has to tell it."""
    if split is None:
        _refuse_to_join(files, path)
        return files, None
    wanted = {word.lower() for word in split.split("+")}
    chosen = [file for file in files if wanted & {*file.words, file.split}]
    if chosen:
        return chosen, None
    if any(file.split for file in files):
        hint = did_you_mean(split, {word for file in files for word in file.words})
        raise ConfigError(f"split must be a word in a file's name below {path}, got '{split}'.{hint}")
    return files, split


def _refuse_to_join(files: Sequence[_File], path: str) -> None:
    sides: dict[str | None, list[str]] = {}
    for file in files:
        sides.setdefault(file.split, []).append(file.name)
    named = [side for side in sides if side is not None]
    if len(sides) < 2 or named == ["train"]:
        return
    listed = "; ".join(
        f"{side or 'no split'}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for side, names in sides.items()
    )
    first = "train" if "train" in named else named[0]
    others = f"split: {'+'.join(named)} for all of these" if None not in sides else "name one of the files"
    raise ConfigError(
        Problem(
            "split",
            f"must say which files of {path} to read, got none and files of several splits ({listed}): rows "
            f"to measure on would be trained on. Set split: {first} in the load step, or {others}.",
        )
    )


def _read_files(
    files: Sequence[_File], split: str | None, limit: int | None, encoding: str | None
) -> list[Part]:
    parts: list[Part] = []
    count = 0
    for file in files:
        left = None if limit is None else limit - count
        if left is not None and left <= 0:
            break
        parts.append(read_file(file.path, file.name, Reading(encoding=encoding, limit=left, split=split)))
        count += len(parts[-1])
    return parts


def _source_files(files: Sequence[_File], encoding: str | None) -> Part:
    texts: dict[str, str] = {}
    problems = []
    for file in files:
        try:
            with open_text(file.path, encoding) as text:
                texts[file.name] = text.read()
        except UnicodeDecodeError as error:
            problems.append(Problem(str(file.path), f"must be UTF-8 text, got {error.reason}."))
    refuse_rows(problems, "Convert these files, move them out of the folder, or set encoding: latin-1.")
    kept = {name: text for name, text in texts.items() if text.strip()}
    return _named_texts(list(kept), list(kept.values()))


def _named_texts(names: Sequence[str], texts: Sequence[str]) -> Part:
    return Part({"text": texts_column(texts)}, pa.chunked_array([pa.array(names, pa.string())], pa.string()))


def _standard_library() -> Part:
    files = standard_library_files()
    part = _named_texts([file.name for file in files], [file.text for file in files])
    marks = pa.chunked_array([pa.array([file.heldout for file in files], pa.bool_())])
    return part.having({"heldout": Column(marks)})


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
    return part_of(splits[split], split)


def _by_split_column(parts: list[Part], split: str | None, path: str) -> list[Part]:
    """The rows of a split by the column `split`, where file names do not say it."""
    parts = [_with_split(part) for part in parts]
    found: dict[str, None] = {}
    for part in parts:
        if "split" in part.columns:
            values = part.columns["split"].texts().values.unique().to_pylist()
            found |= dict.fromkeys(str(one) for one in values if one is not None)
    if split is None:
        if 1 < len(found) <= _MOST_SPLITS:
            raise ConfigError(
                Problem(
                    "split",
                    f"must say which rows of {path} to read, got none and a column `split` with the values "
                    f"{', '.join(sorted(found))}: rows to measure on would be trained on. Set split: "
                    f"{'train' if 'train' in found else min(found)} in the load step, or "
                    f"{'+'.join(sorted(found))} for all rows.",
                )
            )
        return parts
    wanted = {split, *split.split("+")}
    if not wanted & found.keys():
        had = f"the values {', '.join(sorted(found))}" if found else "no such column"
        raise ConfigError(
            f"split must be a value of the column `split` of {path}, got '{split}'; the file has {had}. "
            "Leave split out, or name one of these values."
        )
    told = [part for part in parts if "split" in part.columns]  # of others, nobody knows
    marks = [pc.is_in(part.columns["split"].texts().values, pa.array(list(wanted))) for part in told]
    return [part.take(np.flatnonzero(mark.to_numpy())) for part, mark in zip(told, marks, strict=True)]


def _with_split(part: Part) -> Part:
    """With a column `split`, where one of another name says it in the words of splits."""
    if "split" in part.columns:
        return part
    for name, column in part.columns.items():
        word = name.strip().lower()
        if word not in _SPLIT_COLUMNS and word not in _SPLIT_MARKS:
            continue
        values = [None if one is None else one.strip() for one in column.texts().values.to_pylist()]
        if word in _SPLIT_MARKS:
            yes, no = _SPLIT_MARKS[word]
            values = [{"true": yes, "1": yes, "false": no, "0": no}.get(str(one).lower()) for one in values]
        said = {one for one in values if one}
        if said and all(one.lower() in _SPLITS for one in said):
            return part.without([name]).having({"split": texts_column(values)})
    return part


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
