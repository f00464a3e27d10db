"""The standard library's own source: Python text on every machine, with a fixed held-out part."""

import hashlib
import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

# 1 / 25 = 4 % of the files: about two dozen, enough bytes for a stable bits-per-byte figure.
HELDOUT_ONE_IN = 25

# Third-party packages, tests (half of the tree, and unlike the code one writes) and caches.
EXCLUDED_FOLDERS = frozenset(
    {"site-packages", "dist-packages", "test", "tests", "idle_test", "__pycache__", "lib-dynload"}
)

# Written by the interpreter's build or by the distribution, so they differ between machines.
_MACHINE_WRITTEN_NAME = re.compile(r"(^|/)(_sysconfigdata|config-|sitecustomize\.|usercustomize\.)")

# Codec tables, grammar tables and the help topics say in their first lines that a program wrote them.
_MACHINE_WRITTEN_TEXT = re.compile(r"(auto-?\s?)generated\b|\bgenerated (from|by)\b", re.IGNORECASE)
_OPENING_CHARACTERS = 300


@dataclass(frozen=True)
class SourceFile:
    """One source file: its posix path below the library's root, its exact text, its side of the split."""

    name: str
    text: str
    heldout: bool


def standard_library_files() -> list[SourceFile]:
    """The running Python's hand-written `.py` files, sorted by name, each text once.

    Held-out files are for measuring only: nothing in this package trains on them. Which
    names exist depends on the Python version; the side of a name does not.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    named = sorted((path.relative_to(root).as_posix(), path) for path in root.rglob("*.py"))
    files: dict[str, SourceFile] = {}
    for name, path in named:
        text = _text(path) if is_library_name(name) else None
        if text is not None and not _MACHINE_WRITTEN_TEXT.search(text[:_OPENING_CHARACTERS]):
            files.setdefault(text, SourceFile(name=name, text=text, heldout=is_heldout(name)))
    return list(files.values())


def is_heldout(name: str) -> bool:
    """Whether the file is held out: the first 4 bytes of its name's SHA-256, modulo 25, are 0."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(digest[:4], "big") % HELDOUT_ONE_IN == 0


def is_library_name(name: str) -> bool:
    """Whether the path, by its name alone, is library code rather than tests, packages or build output."""
    folders = PurePosixPath(name).parts[:-1]
    return EXCLUDED_FOLDERS.isdisjoint(folders) and not _MACHINE_WRITTEN_NAME.search(name)


def _text(path: Path) -> str | None:
    """The exact text, or None where it is blank or not UTF-8 (a few codec samples are neither)."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.strip() else None
