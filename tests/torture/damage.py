"""Ways in which files of a run folder or a store are damaged."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

Damage = Callable[[Path], None]


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


WAYS: Mapping[str, Damage] = {
    "flipped": _flipped,
    "cut": _cut,
    "empty": lambda path: path.write_bytes(b"") and None,
    "deleted": Path.unlink,
    "{}": lambda path: path.write_bytes(b"{}") and None,
    "[]": lambda path: path.write_bytes(b"[]") and None,
    "binary": lambda path: path.write_bytes(bytes(range(256))) and None,
}
_TEXTS = (".json", ".jsonl", ".yaml")
_MADE = ("report.html", "README.md", "versions.json")  # read by nobody
_WATCHED = ("checkpoint/", "signals/", "rollouts/", "parts/")


def damages(folder: Path) -> Iterator[tuple[Path, str, Damage]]:
    """Every file whose damage must be seen, with every way."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name.startswith(".") or path.name in _MADE:
            continue
        is_text = path.suffix in _TEXTS
        is_record = path.name in ("done.json", "begun.json", "metrics.jsonl", "recipe.yaml", "manifest.json")
        is_store = (folder / "manifest.json").is_file()
        if not (is_record or is_store or any(part in name for part in _WATCHED)):
            continue
        for way, damage in WAYS.items():
            if is_text or way in ("flipped", "cut", "empty", "deleted"):
                yield path, way, damage
