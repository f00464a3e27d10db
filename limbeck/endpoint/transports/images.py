"""Images in messages as chat APIs take them: by their bytes, whatever way a row names them."""

import base64
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.endpoint.media import read_media

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)


def with_data_urls(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages whose images are `image_url` parts with data URLs.

    A path, a file URL and a data URL are read; an address on the web stays one, as the server fetches it.

    Raises:
        RowError: there is nothing to read.
    """
    return [{**message, **_content(message.get("content"))} for message in messages]


def place_of(part: Mapping[str, Any]) -> str | None:
    """Where the image of a content part is; None: it is none."""
    if part.get("type") not in ("image", "image_url", "input_image"):
        return None
    for name in ("image_url", "image", "url", "path", "data"):
        value = part.get(name)
        if isinstance(value, Mapping):
            value = value.get("url") or value.get("path")
        if isinstance(value, str):
            return value
    return None


def read_image(place: str) -> tuple[str, str]:
    """Media type and base64 of an image."""
    data = read_media(place)
    told = place[5:].split(";")[0].split(",")[0] if place.startswith("data:") else None
    return _media_type(data, told or mimetypes.guess_type(place)[0]), base64.b64encode(data).decode()


def _content(content: Any) -> dict[str, Any]:
    if not isinstance(content, Sequence) or isinstance(content, str):
        return {}
    return {"content": [_part(part) if isinstance(part, Mapping) else part for part in content]}


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    place = place_of(part)
    if place is None:
        return part
    if not place.startswith(("http://", "https://")):
        kind, data = read_image(place)
        place = f"data:{kind};base64,{data}"
    told = part.get("image_url")
    detail = {"detail": told["detail"]} if isinstance(told, Mapping) and "detail" in told else {}
    return {"type": "image_url", "image_url": {"url": place, **detail}}


def _media_type(data: bytes, told: str | None) -> str:
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    found = next((kind for magic, kind in _MAGIC if data.startswith(magic)), None)
    return found or told or "application/octet-stream"
