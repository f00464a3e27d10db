"""Fingerprints: equal if and only if what they were made of is equal."""

import hashlib
import json
from pathlib import Path
from typing import Any

from limbeck.core.files import hash_file

_SHORT = 16  # 64 bits of hex: plenty against accidents, short enough to read


def fingerprint(value: Any) -> str:
    """A short hash of JSON-like `value`; the order of keys does not matter."""
    canonical = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:_SHORT]


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Of what turns text into ids; how a batch was last padded, and the chat template, do not count."""
    if not tokenizer.is_fast:
        return fingerprint([repr(tokenizer), str(tokenizer.special_tokens_map)])
    parts = json.loads(tokenizer.backend_tokenizer.to_str())
    parts = {name: part for name, part in parts.items() if name not in ("padding", "truncation")}
    return fingerprint([parts, str(tokenizer.special_tokens_map)])


def fingerprint_path(path: Path) -> str:
    """A short hash of a file, or of the names and bytes of all files below a folder."""
    if path.is_file():
        return hash_file(path)[:_SHORT]
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return fingerprint({file.relative_to(path).as_posix(): hash_file(file) for file in files})
