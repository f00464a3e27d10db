"""Fingerprints: equal if and only if what they were made of is equal."""

import json
from pathlib import Path
from typing import Any

from limbeck.core.files import hash_file, json_checksum

_SETTINGS = (
    "clean_up_tokenization_spaces",
    "split_special_tokens",
    "add_bos_token",
    "add_eos_token",
    "truncation_side",
    "src_lang",
    "tgt_lang",
)
"""Of a tokenizer, beside what its backend holds."""
_SHORT = 16  # 64 bits of hex: plenty against accidents, short enough to read


def fingerprint(value: Any) -> str:
    """A short hash of JSON-like `value`; the order of keys does not matter."""
    return json_checksum(value)[:_SHORT]


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Of what turns text into ids and back; chat template and the padding of the last batch do not count."""
    special = str(tokenizer.special_tokens_map)
    settings = [str(getattr(tokenizer, name, None)) for name in _SETTINGS]
    if not tokenizer.is_fast:
        vocabulary = sorted(tokenizer.get_vocab().items())
        files = [hash_file(file) for file in _vocabulary_files(tokenizer)]
        added = str(tokenizer.added_tokens_decoder)
        return fingerprint([type(tokenizer).__name__, vocabulary, added, files, special, settings])
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    parts = {name: part for name, part in parts.items() if name not in ("padding", "truncation")}
    return fingerprint([parts, special, settings])


def fingerprint_path(path: Path) -> str:
    """A short hash of a file, or of the names and bytes of all files below a folder.

    Hidden files, and what `datasets` caches beside data it saved, do not count.
    """
    if path.is_file():
        return hash_file(path)[:_SHORT]
    found = {}
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path)
        is_cache = file.name.startswith("cache-") and file.suffix == ".arrow"
        if file.is_file() and not is_cache and not any(part.startswith(".") for part in name.parts):
            found[name.as_posix()] = hash_file(file)
    return fingerprint(found)


def _vocabulary_files(tokenizer: Any) -> list[Path]:
    """Where a tokenizer in Python has its vocabulary from, scores and merges included."""
    names = [tokenizer.init_kwargs.get(key) for key in sorted(tokenizer.vocab_files_names)]
    return [Path(name) for name in names if isinstance(name, str) and Path(name).is_file()]
