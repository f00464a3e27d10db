"""A server whose every byte is scripted, in the event loop of the test."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

CLOSE = None
"""In place of bytes: the connection is closed."""

Piece = bytes | float | None
"""Bytes that are sent, seconds that are waited, or `CLOSE`."""


@dataclass
class Wire:
    """The server.

    Attributes:
        url: of its API.
        asked: the JSON of all calls so far.
        headers: of all calls so far, in small letters.
        paths: of all calls so far.
    """

    url: str
    asked: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@asynccontextmanager
async def wire(*script: Sequence[Piece]) -> AsyncIterator[Wire]:
    """Gives one script after the other, call by call; the last one again after that."""
    server = Wire("")
    open_ones = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_ones.add(writer)
        try:
            while await _read(reader, server):
                for piece in script[min(len(server.paths), len(script)) - 1]:
                    if piece is CLOSE:
                        return
                    if isinstance(piece, bytes):
                        writer.write(piece)
                        await writer.drain()
                    else:
                        await asyncio.sleep(piece)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()
            open_ones.discard(writer)

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()
        for writer in list(open_ones):
            writer.transport.abort()


async def _read(reader: asyncio.StreamReader, server: Wire) -> bool:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return False
    first, *lines = head.split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    server.paths.append(first.split()[1])
    server.headers.append(headers)
    server.asked.append(json.loads(body) if headers.get("content-type") == "application/json" else body)
    return True


def answer(
    body: Any, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> list[Piece]:
    """A whole answer."""
    content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return [
        _head(status, {"Content-Type": kind, "Content-Length": str(len(content)), **(headers or {})})
        + content
    ]


def stream(*pieces: Any) -> list[Piece]:
    """Server-sent events; JSON, bytes as they are, pauses and `CLOSE`. The end is not among them."""
    head = _head(200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"})
    return [head, *(_chunk(piece) if isinstance(piece, dict | str) else piece for piece in pieces)]


END = [b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"]
"""How a stream ends well."""


def _chunk(piece: Any) -> bytes:
    data = piece.encode() if isinstance(piece, str) else f"data: {json.dumps(piece)}\n\n".encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{lines}\r\n".encode()


def chat(content: Any = "4", **message: Any) -> dict[str, Any]:
    """A chat answer in one piece."""
    return {
        "model": "served",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }


def delta(finish: str | None = None, **told: Any) -> dict[str, Any]:
    """A piece of a streamed chat answer."""
    return {"model": "served", "choices": [{"index": 0, "finish_reason": finish, "delta": told}]}
