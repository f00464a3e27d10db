"""Fingerprint of a model on disk or on the hub: changes with everything that loading it can read."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from huggingface_hub import hf_hub_download

from limbeck.core.errors import ModelError
from limbeck.core.files import cache_folder, hash_file, write_text
from limbeck.core.fingerprint import fingerprint
from limbeck.core.model_words import model_word
from limbeck.core.models.places import check_place, source_of, unreadable

_WEIGHTS = ("*.safetensors", "*.bin")
# Configuration, generation, tokenizers of every kind, chat templates, adapters, a model's own code.
_OTHERS = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.spm", "*.bpe", "*.codes", "*.py")
_TEMPLATES = "additional_chat_templates/*.jinja"
_UNREAD = ("training_args.", "trainer_state.", "optimizer.", "scheduler.", "LICENSE", "README", "NOTICE")
_UNREAD_ENDS = ("_results.json", "requirements.txt")
_INDEX = ".index.json"  # belongs to the weights
_ADAPTER = "adapter_config.json"
_REMEMBERED = 64 * 2**20  # bytes; the hash of a larger file is kept until the file changes
_SETTLED = 2.0  # seconds: a file changed twice within a tick of the clock would look unchanged


def model_fingerprint(path_or_id: str | Path, *, weights: bool = True) -> str:
    """A short hash of everything that loading a model, its tokenizer or its generation settings reads.

    For a folder: names and bytes of its weights, configuration, generation configuration, tokenizer
    files, chat templates, adapters (with the model they lie on) and own code. For an id on the hub: the
    id and the commit.

    Args:
        path_or_id: a model word.
        weights: False for a tokenizer: everything but the weights; needs no config.json.

    Raises:
        ModelError: no such model.
    """
    word = model_word(path_or_id)
    check_place(word, needs_config=weights)
    folder = Path(source_of(word))
    if not folder.is_dir():
        file = word.gguf_file or ("config.json" if weights else "tokenizer_config.json")
        try:
            commit = Path(hf_hub_download(word.place, file, revision=word.revision or None)).parent.name
        except OSError as error:
            raise ModelError(unreadable(word, error, file=file)) from error
        return fingerprint({"id": word.place, "commit": commit})
    if word.gguf_file:
        return fingerprint({word.gguf_file: _hash(folder / word.gguf_file)})
    found = {file.relative_to(folder).as_posix(): _hash(file) for file in _files(folder, weights=weights)}
    base = _adapted(folder)
    return fingerprint(found if base is None else {**found, "base": model_fingerprint(base, weights=weights)})


def _files(folder: Path, *, weights: bool) -> Iterator[Path]:
    ends = _UNREAD_ENDS if weights else (*_UNREAD_ENDS, _INDEX)
    for pattern in (*(_WEIGHTS if weights else ()), *_OTHERS, _TEMPLATES):
        for file in sorted(folder.glob(pattern)):
            name = file.name
            if file.is_file() and not name.startswith((".", *_UNREAD)) and not name.endswith(ends):
                yield file


def _adapted(folder: Path) -> str | None:
    """The model that the adapters of a folder lie on, where it is a folder as well."""
    if not (folder / _ADAPTER).is_file():
        return None
    try:
        base = json.loads((folder / _ADAPTER).read_text(encoding="utf-8")).get("base_model_name_or_path")
    except (ValueError, AttributeError):
        return None  # loading says so
    is_other = isinstance(base, str) and Path(base).is_dir() and Path(base).resolve() != folder.resolve()
    return base if is_other else None


def _hash(file: Path) -> str:
    """SHA-256 of a file; of a large one, remembered as long as inode, size and both times stay."""
    stat = file.stat()
    if stat.st_size <= _REMEMBERED:
        return hash_file(file)
    # The time of the last change of the inode cannot be set back, as that of the content can.
    seen = [stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    place = cache_folder() / "hashes" / fingerprint(seen)
    if place.is_file() and len(kept := place.read_text(encoding="utf-8")) == 64:
        return kept
    found = hash_file(file)
    if time.time() - stat.st_ctime > _SETTLED:
        with suppress(OSError):  # without a cache the file is read again
            write_text(place, found)
    return found
