"""`manifest.json`: what a store is of, what lies in it, and how each file is known to be whole."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from limbeck.core.errors import Problem, StoreError
from limbeck.core.files import hash_file, json_checksum, read_json, write_json
from limbeck.signals.layout import TOKENIZER
from limbeck.signals.payload import Payload

FORMAT = 3
_FORMAT_KEY, _CHECKSUM = "limbeck_signals", "checksum"
MANIFEST, BEGUN = "manifest.json", "begun.json"


@dataclass(frozen=True)
class Identity:
    """What a store is of; two captures of one identity make the same files.

    Attributes:
        version: of the step that captures; raised when it makes other stores of the same input.
        teacher: the model's name, as it was given.
        weights: fingerprint of all files of the teacher.
        tokenizer: fingerprint of the tokenizer that made the rows.
        template: fingerprint of its chat template.
        data: fingerprint of row ids and token ids.
        rendering: choices in turning rows into tokens (`max_length`, `loss_on`, ...).
        payload: as a recipe writes it.
        vocabulary: ids lie below it.
        shard_tokens: most tokens of a shard.
    """

    version: int
    teacher: str
    weights: str
    tokenizer: str
    template: str
    data: str
    rendering: Mapping[str, Any]
    payload: Mapping[str, Any]
    vocabulary: int
    shard_tokens: int


_SAID = {
    "version": "another version of the capture",
    "weights": "other files of the teacher",
    "tokenizer": "another tokenizer",
    "template": "another chat template",
    "data": "other data",
    "rendering": "other choices in rendering rows",
    "payload": "another payload",
    "vocabulary": "another vocabulary size",
    "shard_tokens": "shards of another size",
}


@dataclass(frozen=True)
class Part:
    """A file of a store.

    Attributes:
        file: its name.
        sha256: of its bytes.
        bytes: its size.
        rows: of data in it; 0 for files that hold none.
        positions: whose distribution it holds.
        first_row: id of its first row.
        last_row: id of its last row.
    """

    file: str
    sha256: str
    bytes: int
    rows: int = 0
    positions: int = 0
    first_row: str = ""
    last_row: str = ""


@dataclass(frozen=True)
class Manifest:
    """A whole store.

    Attributes:
        identity: what it is of.
        rows: of data.
        tokens: that the teacher read.
        positions: whose distribution is there.
        bytes: of all parts.
        parts: every file but the manifest; shards are those with rows.
        origin: of a teacher behind a server: where it was asked, and what was found of it; empty of others.
    """

    identity: Identity
    rows: int
    tokens: int
    positions: int
    bytes: int
    parts: Sequence[Part]
    origin: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        identity: Identity,
        *,
        rows: int,
        tokens: int,
        positions: int,
        parts: Sequence[Part],
        origin: Mapping[str, Any],
    ) -> "Manifest":
        """Of files just written."""
        size = sum(part.bytes for part in parts)
        return cls(identity, rows, tokens, positions, size, tuple(parts), origin)

    @property
    def payload(self) -> Payload:
        """What is kept."""
        return Payload.of_store(self.identity.payload)

    @property
    def shards(self) -> list[Part]:
        """The files that hold rows, in order."""
        return [part for part in self.parts if part.rows]

    def write(self, folder: Path) -> None:
        """Write the manifest: the store is whole from now on."""
        values = {_FORMAT_KEY: FORMAT, **asdict(self)}
        if not self.origin:
            del values["origin"]
        write_json(folder / MANIFEST, {**values, _CHECKSUM: json_checksum(values)})

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of a store.

        Raises:
            StoreError: there is none, it is of another format, or it is not as it was written.
        """
        path = folder / MANIFEST
        if not path.is_file():
            raise StoreError(_no_manifest(folder))
        try:
            values = read_json(path)
            found = values.pop(_FORMAT_KEY)
            if found != FORMAT:
                raise StoreError(
                    f"store must have format {FORMAT}, got format {found} in {folder}: another version of "
                    "limbeck wrote it. Use that version, or capture again into another folder."
                )
            checksum = values.pop(_CHECKSUM)
            if checksum != json_checksum({_FORMAT_KEY: found, **values}):
                raise StoreError(
                    f"{path} must have the checksum it was written with, got another: it was changed. "
                    f"Put the file back, or delete it and run the capture again: the shards are kept."
                )
            identity = Identity(**values.pop("identity"))
            parts = [Part(**part) for part in values.pop("parts")]
            return cls(identity=identity, parts=parts, **values)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise StoreError(
                f"{path} must be the manifest of a store, got something else "
                f"({str(error) or type(error).__name__}). Delete it and run the capture again: the shards "
                "are kept."
            ) from None

    def verify(self, folder: Path, *, contents: bool = True) -> None:
        """Check every file against its size and checksum.

        Args:
            folder: of the store.
            contents: False to look at sizes only, which reads nothing.

        Raises:
            StoreError: with one problem for each file that is missing, cut, changed or was added.
        """
        problems = [problem for part in self.parts if (problem := _damage(folder, part, contents))]
        known = {part.file for part in self.parts}
        for path in sorted((folder / TOKENIZER).glob("*")):
            if path.relative_to(folder).as_posix() not in known:
                problems.append(
                    Problem(str(path), "must not be there: the store was made without. Delete it.")
                )
        if problems:
            raise StoreError(problems)


def differences(there: Identity, here: Identity) -> list[str]:
    """What two identities differ in, in words: the first is the store's."""
    found = []
    for one in fields(Identity):
        old, new = getattr(there, one.name), getattr(here, one.name)
        if one.name in _SAID and old != new:
            said, said_here = old, new
            if isinstance(old, Mapping) and isinstance(new, Mapping):
                said, said_here = _changed(old, new), _changed(new, old)
            found.append(f"{_SAID[one.name]} ({said} there, {said_here} here)")
    return found


def part_of(path: Path, **held: Any) -> Part:
    """A file as the manifest lists it."""
    return Part(path.name, hash_file(path), path.stat().st_size, **held)


def _changed(values: Mapping[str, Any], others: Mapping[str, Any]) -> str:
    changed = {name: value for name, value in values.items() if others.get(name) != value}
    return ", ".join(f"{name} {value}" for name, value in changed.items()) or "none"


def _damage(folder: Path, part: Part, contents: bool) -> Problem | None:
    path = folder / part.file
    again = f"Delete {MANIFEST} and {part.file} and run the capture again: only this file is made anew."
    if not path.is_file():
        return Problem(str(path), f"must be there, got no file. {again}")
    size = path.stat().st_size
    if size < part.bytes:
        return Problem(str(path), f"must have {part.bytes:,} bytes, got {size:,}: it is cut off. {again}")
    if size > part.bytes or (contents and hash_file(path) != part.sha256):
        return Problem(
            str(path), f"must have the checksum of the manifest, got another: its bytes changed. {again}"
        )
    return None


def _no_manifest(folder: Path) -> str:
    if (folder / BEGUN).is_file():
        return (
            f"store must be finished, got {folder}, whose capture was interrupted. Run the same capture "
            "again: it goes on where it stopped."
        )
    if not folder.is_dir():
        return f"store must be a folder, got {folder}, which does not exist. Name the folder of a capture."
    return f"store must have a {MANIFEST}, got {folder} without one. Name the folder of a capture."
