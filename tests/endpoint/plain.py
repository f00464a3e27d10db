"""A transport in a few lines, for tests across processes: it is there before a client is imported."""

import asyncio
import json
from urllib.parse import urlsplit

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, Usage
from limbeck.endpoint import Answer, Timeouts


class Plain:
    """Speaks chat completions over connections that it keeps."""

    def __init__(self, url: str, model: str) -> None:
        self._address, self._model = urlsplit(url), model
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """Make one call."""
        body = json.dumps({"model": self._model, "messages": request.messages, "seed": seed}).encode()
        first = f"POST {self._address.path}/chat/completions HTTP/1.1"
        head = f"{first}\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            reader, writer = self._idle.pop() if self._idle else await self._connect()
            writer.write(head.encode() + body)
            status, found = await _response(reader)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise RequestFailed(Failure(FailureClass.TRANSIENT, "connect", str(error))) from None
        self._idle.append((reader, writer))
        if status != 200:
            raise RequestFailed(Failure(FailureClass.TRANSIENT, "status", "", status=status))
        content = json.loads(found)
        usage = Usage(content["usage"]["prompt_tokens"], 0, content["usage"]["completion_tokens"])
        return Answer(Reply(content["choices"][0]["message"]["content"], usage=usage))

    async def aclose(self) -> None:
        """Close its connections."""
        for _, writer in self._idle:
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._address.hostname, self._address.port)


async def _response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.split("content-length: ")[1].split("\r\n")[0])
    return int(head.split(" ")[1]), await reader.readexactly(length)
