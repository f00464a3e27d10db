"""Data, models and tokenizers that are given as objects: kept as folders, called by what is in them.

The folder lies in limbeck's cache, so that the same content is written once and a recipe that names it can
be run again.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset, IterableDataset
from torch import nn
from transformers import PreTrainedTokenizerBase

from limbeck.core.errors import ConfigError, ModelError, Problem
from limbeck.core.files import cache_folder, hash_file
from limbeck.core.models import load_tokenizer, save_model
from limbeck.rows.read import quiet

_NAME = 16  # hex digits


def named(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs of a recipe, with the path of a folder in the place of each object.

    Rows may be a `datasets.Dataset`, a DataFrame or a list of dicts; models and tokenizers those of
    transformers, a model beside its tokenizer as `(model, tokenizer)`.

    Raises:
        ConfigError: rows are none, or of a kind that cannot be kept.
        ModelError: a model comes without a tokenizer.
    """
    return {name: _named(value, name) for name, value in inputs.items()}


def kept_rows(rows: Any, where: str = "data") -> Path:
    """The file or folder that holds these rows."""
    if isinstance(rows, IterableDataset):
        raise ConfigError(
            Problem(where, "must be rows that can be counted, got an IterableDataset. Take some: .take(n).")
        )
    if isinstance(rows, Dataset) or _is_frame(rows):
        table = rows if isinstance(rows, Dataset) else Dataset.from_pandas(rows, preserve_index=False)
        with quiet():
            return (
                _kept("rows", lambda folder: table.with_format(None).save_to_disk(folder / "rows")) / "rows"
            )
    if not rows:
        raise ConfigError(Problem(where, "must have at least one row, got none."))

    def fill(folder: Path) -> None:
        lines = [json.dumps(row, ensure_ascii=False, default=_plain) for row in rows]
        (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    return _kept("rows", fill) / "rows.jsonl"


def is_rows(value: Any) -> bool:
    """Whether a value is rows of data, and no word for some."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return isinstance(value, Dataset | IterableDataset) or _is_frame(value) or (is_list and _of_dicts(value))


def _named(value: Any, where: str) -> Any:
    if where == "data" and is_rows(value):
        return str(kept_rows(value))
    if isinstance(value, nn.Module):
        return str(_kept_model(value, None, where))
    if isinstance(value, PreTrainedTokenizerBase):
        return str(_kept("tokenizer", value.save_pretrained))
    if isinstance(value, tuple) and value and isinstance(value[0], nn.Module):
        model, tokenizer = value
        return str(_kept_model(model, tokenizer, where))
    if isinstance(value, Mapping):
        return {name: _named(one, f"{where}.{name}") for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_named(one, f"{where}.{place}") for place, one in enumerate(value)]
    return value


def _kept_model(model: nn.Module, tokenizer: Any, where: str) -> Path:
    own = tokenizer or tokenizer_of(model, where)
    return _kept("model", lambda folder: save_model(model, own, folder / "model")) / "model"


def tokenizer_of(model: Any, where: str, instead: Any = None) -> Any:
    """The tokenizer that lies where a model was loaded from, or `instead`.

    Raises:
        ModelError: there is neither.
    """
    origin = str(getattr(model, "name_or_path", "") or "")
    try:
        if origin:
            return load_tokenizer(origin)
    except ModelError:
        pass  # said below, with what to do
    if instead is not None:
        return instead
    raise ModelError(
        Problem(
            where,
            f"must come with its tokenizer, got a {type(model).__name__} "
            + (f"from '{origin}', which has none. " if origin else "that was loaded from nowhere. ")
            + f"Give both: {where.partition('.')[0]}=(model, tokenizer).",
        )
    )


def _kept(what: str, fill: Callable[[Path], Any]) -> Path:
    """A folder in the cache with what `fill` writes, called by its bytes."""
    parent = cache_folder() / "given"
    parent.mkdir(parents=True, exist_ok=True)
    filling = parent / f".{what}.{os.getpid()}.part"
    shutil.rmtree(filling, ignore_errors=True)
    filling.mkdir()
    try:
        fill(filling)
        folder = parent / f"{what}-{_content(filling)}"
        if not folder.exists():
            filling.rename(folder)
        return folder
    finally:
        shutil.rmtree(filling, ignore_errors=True)


def _content(folder: Path) -> str:
    found = hashlib.sha256()
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        # Names of Arrow shards and what datasets remembers of their making change with every writing.
        if file.name in ("state.json", "dataset_info.json"):
            continue
        found.update(f"{file.relative_to(folder)} {hash_file(file)}\n".encode())
    return found.hexdigest()[:_NAME]


def _is_frame(value: Any) -> bool:
    return type(value).__module__.partition(".")[0] == "pandas" and type(value).__name__ == "DataFrame"


def _of_dicts(rows: Sequence[Any]) -> bool:
    return all(isinstance(row, Mapping) for row in rows)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):  # numpy
        return value.tolist()
    raise ConfigError(
        Problem("data", f"must be text, numbers, lists and dicts, got a {type(value).__name__}.")
    )
