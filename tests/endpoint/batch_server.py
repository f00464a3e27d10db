"""Providers' batch APIs as far as they are used here, answering as a test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Outcome = Callable[[list[dict[str, Any]]], tuple[str, list[Any], list[Any]]]
"""From the lines of a batch: how it ends, and the lines of its files of answers and of errors."""


@dataclass
class BatchServer:
    """A provider.

    Attributes:
        url: of its API.
        outcomes: how the batches end, in order; the last again after that.
        batches: those begun, with their lines.
        uploads: files that went up.
        looks: how often a batch must be looked at until it has ended.
        dies: calls of these paths are answered only after they were done, and then the connection closes.
    """

    outcomes: list[Outcome]
    url: str = ""
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    looks: int = 1
    dies: set[str] = field(default_factory=set)

    def lines(self) -> list[list[dict[str, Any]]]:
        """The requests of each batch so far."""
        return [batch["lines"] for batch in self.batches.values()]

    def answer(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
        """What a call is answered."""
        path, _, _ = path.partition("?")
        match [method, *path.removeprefix("/v1/").split("/")]:
            case ["POST", "files"]:
                name = f"file-{len(self.uploads)}"
                self.uploads[name] = _uploaded(body, kind)
                return 200, _json({"id": name, "object": "file", "purpose": "batch"})
            case ["POST", "batches"]:
                asked = json.loads(body)
                content = self.uploads[asked["input_file_id"]]
                lines = [json.loads(line) for line in content.splitlines()]
                return 200, _json(self._begin(lines, asked))
            case ["POST", "messages", "batches"]:
                return 200, _json(self._begin(json.loads(body)["requests"], {}))
            case ["GET", "batches"] | ["GET", "messages", "batches"]:
                listed = [self._told(name) for name in reversed(self.batches)]
                return 200, _json({"data": listed, "has_more": False})
            case ["GET", "batches", name] | ["GET", "messages", "batches", name]:
                if name not in self.batches:
                    return 404, _json({"error": {"message": "No such batch"}})
                self.batches[name]["looks"] += 1
                return 200, _json(self._told(name))
            case ["GET", "files", name, "content"]:
                batch, which = name.split("-")
                return 200, _lines(self.batches[batch][which])
            case ["GET", "messages", "batches", name, "results"]:
                return 200, _lines(self.batches[name]["out"])
            case _:
                return 404, _json({"error": {"message": f"no {method} {path}"}})

    def _begin(self, lines: list[dict[str, Any]], asked: Mapping[str, Any]) -> dict[str, Any]:
        number = len(self.batches)
        ends, out, err = self.outcomes[min(number, len(self.outcomes) - 1)](lines)
        name = f"b{number}"
        self.batches[name] = {
            "lines": lines, "ends": ends, "out": out, "err": err, "looks": 0,
            "metadata": asked.get("metadata"), "endpoint": asked.get("endpoint"),
        }  # fmt: skip
        return self._told(name)

    def _told(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        ended = batch["looks"] >= self.looks
        now = datetime.now(UTC)
        return {
            "id": name,
            "metadata": batch["metadata"],
            "created_at": now.isoformat() if batch["metadata"] is None else now.timestamp(),
            "status": batch["ends"] if ended else "in_progress",
            "output_file_id": f"{name}-out" if ended and batch["out"] else None,
            "error_file_id": f"{name}-err" if ended and batch["err"] else None,
            "errors": {"data": batch["err"]} if batch["ends"] == "failed" else None,
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {"processing": len(batch["lines"])},
            "results_url": "https://example.invalid/elsewhere" if ended else None,
        }


@asynccontextmanager
async def batch_server(*outcomes: Outcome, **settings: Any) -> AsyncIterator[BatchServer]:
    """A provider on the loopback."""
    server = BatchServer(list(outcomes), **settings)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split("\r\n")[0].split(" ")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head.split("\r\n"))}
                body = await _body(reader, headers)
                status, content = server.answer(method, path, body, headers.get("content-type", ""))
                if f"{method} {path}" in server.dies:
                    server.dies.discard(f"{method} {path}")
                    return
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                    f"Content-Length: {len(content)}\r\n\r\n".encode()
                    + content
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listening.close()


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    content = b""
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        content += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return content


def _uploaded(body: bytes, kind: str) -> bytes:
    """The file among the parts of a form."""
    boundary = kind.partition("boundary=")[2].encode()
    parts = body.split(b"--" + boundary)
    part = next(part for part in parts if b"filename=" in part)
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _lines(values: list[Any]) -> bytes:
    return b"\n".join(_json(value) for value in values)
