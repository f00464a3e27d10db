"""An HTTP server that speaks OpenAI's wire format and goes wrong as it is told, one call at a time.

    python -m tests.endpoint.fault_server [--seconds 0.05]

serves the same without faults until its standard input is closed, and prints its address.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Says = Callable[["Call"], Any]


@dataclass(frozen=True)
class Fault:
    """What a call meets instead of an answer.

    Attributes:
        kind: `status` (an error of HTTP with a JSON body), `html`, `empty`, `truncated` (JSON that ends
        midway),
            `half` (the connection closes within the body), `closed` (before any byte), `hang` (no byte),
            `stall` (a stream that stops and stays open), `no_choices`, `null` (content is null),
            `one_choice` (n is ignored) or `no_usage`.
        status: of HTTP.
        code: in the body of the error.
        retry_after: as the server writes it into its header.
        headers: that are sent besides.
        message: of the error; `{key}` stands for the key that was sent.
    """

    kind: str
    status: int = 200
    code: str = ""
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "as scripted"


def rate_limit(retry_after: float | str | None = None) -> Fault:
    """429: too many requests."""
    return Fault("status", 429, "rate_limit_exceeded", None if retry_after is None else str(retry_after))


QUOTA = Fault("status", 429, "insufficient_quota", message="You exceeded your current quota")
WRONG_KEY = Fault("status", 401, "invalid_api_key", message="Incorrect API key provided: {key}")
SERVER_ERROR = Fault("status", 500, "server_error")
OVERLOADED = Fault("status", 503, "overloaded")
CONTEXT_LENGTH = Fault(
    "status", 400, "context_length_exceeded", message="maximum context length is 16 tokens"
)
CONTENT_FILTER = Fault("status", 400, "content_filter")
BAD_REQUEST = Fault("status", 400, "invalid_request_error")
NO_MODEL = Fault("status", 404, "model_not_found")
HTML = Fault("html")
EMPTY = Fault("empty")
TRUNCATED = Fault("truncated")
HALF = Fault("half")
CLOSED = Fault("closed")
HANG = Fault("hang")
STALL = Fault("stall")
NO_CHOICES = Fault("no_choices")
NULL = Fault("null")
ONE_CHOICE = Fault("one_choice")
NO_USAGE = Fault("no_usage")


@dataclass(frozen=True)
class Call:
    """A call as it arrived: its number from 0, when, and what it asks."""

    number: int
    time: float
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        """The text of its last turn, or of its prompt."""
        messages = self.body.get("messages")
        content = messages[-1]["content"] if messages else self.body.get("prompt", "")
        if isinstance(content, list):
            return "".join(part.get("text", "") if isinstance(part, dict) else str(part) for part in content)
        return str(content)


class FaultServer:
    """Serves on a free port of this machine while it is entered, in the loop of the test."""

    def __init__(
        self,
        script: Callable[[Call], Fault | None] | None = None,
        *,
        says: Says = lambda call: f"answer to {call.prompt}",
        seconds: float = 0.0,
        key: str | None = None,
        models: tuple[str, ...] = ("model",),
    ) -> None:
        """Set it up.

        Args:
            script: the fault of a call; None: it is answered.
            says: the answer to a call: a text, or a whole message as a mapping.
            seconds: after which it answers.
            key: that calls must carry.
            models: that it lists.
        """
        self.script, self.says, self.seconds, self.key, self.models = script, says, seconds, key, models
        self.calls: list[Call] = []
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self.connections = 0  # that were ever opened

    @property
    def url(self) -> str:
        """Base URL of its API."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def times(self) -> list[float]:
        """When calls for answers arrived, in seconds of a monotonic clock."""
        return [call.time for call in self.calls]

    async def __aenter__(self) -> "FaultServer":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._open):
            connection.close()

    async def answer(self, path: str, headers: Mapping[str, str], raw: bytes) -> "_Response":
        """The response to one call."""
        if path.endswith("/models"):
            return _json(
                {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}
            )
        call = Call(len(self.calls), time.monotonic(), path, headers, json.loads(raw or b"{}"))
        self.calls.append(call)
        fault = self.script(call) if self.script is not None else None
        sent = headers.get("authorization", "").removeprefix("Bearer ")
        if fault is None and self.key is not None and sent != self.key:
            fault = WRONG_KEY
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if fault is None and "/chat/" not in path and "/completions" not in path:
            fault = Fault("status", 404, "not_found")
        if fault is not None and fault.kind == "status":
            return _error(fault, sent)
        return _response(call, self.says(call), fault)


@dataclass
class _Response:
    status: int
    body: bytes
    headers: dict[str, str]
    pieces: list[bytes] | None = None  # of a stream
    cut: str = ""  # closed, half, hang or stall


class _Connection(asyncio.Protocol):
    """One connection, kept alive; requests on it are answered one after another."""

    def __init__(self, server: FaultServer) -> None:
        self._server, self._buffer = server, bytearray()
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server._open.add(self)
        self._server.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._open.discard(self)
        if self._task is not None:
            self._task.cancel()

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None or self._task.done():
            self._next()

    def _next(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = bytes(self._buffer[:end]).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", 0))
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        path = first.split(" ")[1]
        self._task = asyncio.get_running_loop().create_task(self._serve(path, headers, body))

    async def _serve(self, path: str, headers: Mapping[str, str], body: bytes) -> None:
        response = await self._server.answer(path, headers, body)
        assert self._transport is not None
        if response.cut == "hang":
            await asyncio.Event().wait()
        if response.cut == "closed":
            self._transport.abort()
            return
        head = {"content-type": "application/json", **response.headers}
        if response.pieces is None:
            head["content-length"] = str(len(response.body))
        else:
            head |= {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        self._transport.write(f"HTTP/1.1 {response.status} Scripted\r\n{lines}\r\n".encode())
        if response.pieces is None:
            self._transport.write(response.body[: len(response.body) // 2] if response.cut else response.body)
        else:
            await self._stream(response)
        if response.cut:
            self._transport.close()
            return
        self._task = None
        self._next()

    async def _stream(self, response: _Response) -> None:
        assert self._transport is not None and response.pieces is not None
        pieces = response.pieces[: len(response.pieces) // 2] if response.cut else response.pieces
        for piece in pieces:
            self._transport.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await asyncio.sleep(0)
        if response.cut == "stall":
            await asyncio.Event().wait()
        if not response.cut:
            self._transport.write(b"0\r\n\r\n")


def _json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> _Response:
    return _Response(status, json.dumps(content).encode(), dict(headers or {}))


def _error(fault: Fault, key: str) -> _Response:
    headers = dict(fault.headers)
    if fault.retry_after is not None:
        headers["retry-after"] = fault.retry_after
    message = fault.message.replace("{key}", key)
    kind = "insufficient_quota" if fault.code == "insufficient_quota" else "error"
    return _json({"error": {"message": message, "type": kind, "code": fault.code}}, fault.status, headers)


def _response(call: Call, said: Any, fault: Fault | None) -> _Response:
    kind, headers = (fault.kind, dict(fault.headers)) if fault is not None else ("", {})
    if kind == "html":
        page = b"<html><body><h1>502 Bad Gateway</h1>Log in to the proxy.</body></html>"
        return _Response(200, page, {"content-type": "text/html", **headers})
    if kind == "empty":
        return _Response(200, b"", headers)
    if kind == "null":
        said = {"role": "assistant", "content": None}
    if call.body.get("stream"):
        cut = {"truncated": "half"}.get(kind, kind if kind in ("half", "closed", "hang", "stall") else "")
        pieces = _pieces(call, said, usage=kind != "no_usage")
        return _Response(200, b"", headers, pieces=pieces[-1:] if kind == "no_choices" else pieces, cut=cut)
    content = _completion(call, said, one=kind == "one_choice", usage=kind != "no_usage")
    if kind == "no_choices":
        content["choices"] = []
    found = _json(content, headers=headers)
    if kind == "truncated":
        found.body = found.body[: len(found.body) // 2]
    elif kind in ("half", "closed", "hang", "stall"):
        found.cut = "hang" if kind == "stall" else kind
    return found


def _message(said: Any) -> dict[str, Any]:
    return dict(said) if isinstance(said, Mapping) else {"role": "assistant", "content": str(said)}


def _usage(call: Call, message: Mapping[str, Any], count: int) -> dict[str, Any]:
    read = len(json.dumps(call.body.get("messages") or call.body.get("prompt")).split())
    written = count * max(1, len(str(message.get("content") or "").split()))
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _completion(call: Call, said: Any, *, one: bool, usage: bool) -> dict[str, Any]:
    message = _message(said)
    count = 1 if one else int(call.body.get("n") or 1)
    chat = "messages" in call.body
    choices: list[dict[str, Any]] = []
    for index in range(count):
        form: dict[str, Any] = {"message": message} if chat else {"text": message["content"]}
        choices.append({"index": index, "finish_reason": "stop", "logprobs": None, **form})
    content: dict[str, Any] = {
        "id": f"call-{call.number}",
        "object": "chat.completion" if chat else "text_completion",
        "created": 0,
        "model": str(call.body.get("model", "")),
        "choices": choices,
    }
    if usage:
        content["usage"] = _usage(call, message, count)
    return content


def _pieces(call: Call, said: Any, *, usage: bool) -> list[bytes]:
    """The events of a stream: one for each word, thoughts first, and the usage in one of its own."""
    message, chat = _message(said), "messages" in call.body
    common = {"id": f"call-{call.number}", "object": "chat.completion.chunk", "created": 0, "model": "model"}
    events: list[dict[str, Any]] = []
    for name in ("reasoning_content", "reasoning", "content"):
        words = str(message.get(name) or "").split(" ")
        for number, word in enumerate(words if message.get(name) else ()):
            text = word if number == 0 else f" {word}"
            form: dict[str, Any] = {"delta": {name: text}} if chat else {"text": text}
            events.append({**common, "choices": [{"index": 0, "finish_reason": None, **form}]})
    last: dict[str, Any] = {"delta": {}} if chat else {"text": ""}
    events.append({**common, "choices": [{"index": 0, "finish_reason": "stop", **last}]})
    if usage and (call.body.get("stream_options") or {}).get("include_usage"):
        events.append({**common, "choices": [], "usage": _usage(call, message, 1)})
    return [b"data: %s\n\n" % json.dumps(event).encode() for event in events] + [b"data: [DONE]\n\n"]


async def _main(seconds: float) -> None:
    async with FaultServer(seconds=seconds) as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=0.0)
    asyncio.run(_main(parser.parse_args().seconds))
