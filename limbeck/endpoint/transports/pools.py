"""Connections in many small pools, as a large one looks at each of its connections for every call."""

import urllib.request
from collections.abc import AsyncIterator

import httpx2

_SIZE = 8  # connections of a pool: its own bookkeeping grows with them, and is then less than that of a call


def pooled(limits: httpx2.Limits) -> dict[str, httpx2.AsyncBaseTransport]:
    """What a client mounts so that its calls are spread over pools; nothing where a proxy takes every call.

    Proxies of the environment keep precedence for what they are named for.
    """
    if "all" in urllib.request.getproxies():
        return {}
    return {"all://": _Pools(limits)}


class _Pools(httpx2.AsyncBaseTransport):
    """Gives each call to the first pool that has room, so that connections are used again."""

    def __init__(self, limits: httpx2.Limits) -> None:
        self._limits = limits
        self._context = httpx2.create_ssl_context()  # reading certificates takes long: once for all
        self._pools: list[httpx2.AsyncHTTPTransport] = []
        self._under_way: list[int] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Make a call through a pool of its own choice."""
        number = next((place for place, count in enumerate(self._under_way) if count < _SIZE), None)
        if number is None:
            number = len(self._pools)
            self._pools.append(httpx2.AsyncHTTPTransport(verify=self._context, limits=self._limits))
            self._under_way.append(0)
        self._under_way[number] += 1
        try:
            response = await self._pools[number].handle_async_request(request)
        except BaseException:
            self._under_way[number] -= 1
            raise
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Counted(response.stream, self._under_way, number)
        return response

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.aclose()


class _Counted(httpx2.AsyncByteStream):
    """The body of an answer; once it is closed its connection is free."""

    def __init__(self, stream: httpx2.AsyncByteStream, under_way: list[int], number: int) -> None:
        self._stream, self._under_way, self._number = stream, under_way, number
        self._open = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        """Read no further."""
        if self._open:
            self._open = False
            self._under_way[self._number] -= 1
        await self._stream.aclose()
