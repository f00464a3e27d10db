"""Data as scripts: a page opened from disk may load scripts, but not read files."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

_ESCAPED = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}
"""What could end a script or a line of one; in JSON it stands in strings alone."""


def write_plain(folder: Path, name: str, value: Any) -> None:
    """Write a value as a script that can be read, for what is small."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False).translate(_ESCAPED)
    _write(folder, name, text)


def write_packed(folder: Path, name: str, parts: list[str]) -> None:
    """Write a list of values, each given as JSON, compressed; the script holds letters and digits alone."""
    text = f"[{','.join(parts)}]"
    # Half of a pair of UTF-16 has no bytes; as an escape it has, and it stands in strings alone.
    data = text.encode("utf-8", errors="backslashreplace")
    packed = gzip.compress(data, compresslevel=_LEVEL, mtime=0)  # without the time: same rows, same bytes
    _write(folder, name, f'"{base64.b64encode(packed).decode("ascii")}"')


def as_json(value: Any) -> str:
    """A plain value as short JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _write(folder: Path, name: str, value: str) -> None:
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
        file.write(f"take({json.dumps(name)}, {value});\n")


_LEVEL = 4  # of 9: beyond it time doubles for a tenth of the bytes
