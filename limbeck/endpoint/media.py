"""Images, sounds and files inside messages: told apart by what they hold, not by where they lie."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from limbeck.core.errors import RowError

_REMOTE = ("http://", "https://")


def with_hashes(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message with the SHA-256 of its bytes in place of each image, sound or file that it carries.

    A data URL and a path to the same bytes become the same. What lies on the web stays its address: whether
    it changes cannot be known here.

    Raises:
        RowError: a path leads nowhere, or a data URL is damaged.

    Example:
        >>> part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
        >>> with_hashes({"role": "user", "content": [part]})["content"][0]["image_url"]["url"][:17]
        'sha256:2cf24dba5f'
    """
    content = message.get("content")
    if content is None or isinstance(content, str):
        return message
    return {**message, "content": [_part(part) if isinstance(part, Mapping) else part for part in content]}


def read_media(place: str) -> bytes:
    """The bytes of an image, sound or file that is given as a data URL, a file URL or a path.

    Raises:
        RowError: there is nothing to read.
    """
    if place.startswith("data:"):
        head, comma, body = place.partition(",")
        try:
            if not comma:
                raise ValueError("it has no comma")
            return (
                base64.b64decode(body, validate=True) if head.endswith(";base64") else unquote_to_bytes(body)
            )
        except (ValueError, binascii.Error) as error:
            raise RowError(f"image must be a whole data URL, got {place[:40]!r}...; {error}.") from None
    try:
        return _path(place).read_bytes()
    except OSError as error:
        raise RowError(
            f"image must be a file that can be read, a data URL or a web address, got {place[:200]!r} "
            f"({error.strerror or error})."
        ) from None


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    """A content part in any of the spellings of chat APIs and chat templates."""
    if part.get("type", "text") in ("text", "refusal"):
        return part
    hashed: dict[str, Any] = {}
    for name, value in part.items():
        if isinstance(value, Mapping):
            hashed[name] = {
                key: _hash(inner, key) if key in ("url", "data", "file_data", "path") else inner
                for key, inner in value.items()
            }
        elif name in ("url", "path", "image", "image_url", "audio", "video", "file", "data"):
            hashed[name] = _hash(value, name)
        else:
            hashed[name] = value
    return hashed


def _hash(value: Any, name: str) -> Any:
    if not isinstance(value, str) or value.startswith(_REMOTE):
        return value
    if name == "data":  # plain base64, as audio is sent
        return _digest(read_media(f"data:;base64,{value}"))
    if value.startswith("data:"):
        return _digest(read_media(value))
    try:
        state = _path(value).stat()
    except OSError:
        return _digest(read_media(value))  # says what is wrong
    return _digest_of_file(value, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _digest_of_file(place: str, changed: int, size: int) -> str:
    return _digest(read_media(place))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _path(place: str) -> Path:
    return Path(unquote(urlsplit(place).path) if place.startswith("file://") else place)
