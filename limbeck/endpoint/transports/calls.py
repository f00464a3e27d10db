"""One attempt of one call through a client of the family that OpenAI's and Anthropic's belong to."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from limbeck.core.asking import Failure, FailureClass, RequestFailed
from limbeck.core.errors import UserError
from limbeck.endpoint.secret import Secret
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transports.dialect import Dialect
from limbeck.endpoint.transports.failures import Told, clean, failure_of, malformed, not_json, refused_field

NO_KEY = "none"
"""Sent where an endpoint needs no key, as the clients want one."""


class Gathers(Protocol):
    """Adds the pieces of a stream up."""

    @property
    def begun(self) -> bool:
        """Whether anything was written that is worth keeping."""

    @property
    def ended(self) -> bool:
        """Whether the answer has said why it ended."""

    def add(self, piece: Mapping[str, Any]) -> None:
        """One more piece."""

    def body(self, *, interrupted: bool) -> dict[str, Any]:
        """The answer as it would have come in one piece."""


class Calls:
    """Makes calls that are tried once, fail as `RequestFailed`, and show their key to nobody."""

    def __init__(self, library: Any, client: Any, *, secret: Secret | None, dialect: Dialect) -> None:
        """
        Args:
            library: the client's module, with its errors.
            client: asynchronous, without retries of its own.
            secret: the key that it sends.
            dialect: is mended when the server refuses a field.
        """
        self._library, self._client, self._secret, self._dialect = library, client, secret, dialect

    async def get(self, path: str, *, timeouts: Timeouts) -> Any:
        """What the server tells at a path, such as its list of models."""
        call = self._client.get(path, cast_to=_response_type(), options={"timeout": self._timeout(timeouts)})
        return self._json(await self._outcome(call, {}, timeouts))

    async def content(self, path: str, *, timeouts: Timeouts) -> bytes:
        """The bytes of a file at a path or an address of the API."""
        call = self._client.get(path, cast_to=_response_type(), options={"timeout": self._timeout(timeouts)})
        response = await self._outcome(call, {}, timeouts)
        return bytes(response.content)

    async def made(self, call: Any, *, timeouts: Timeouts) -> Any:
        """What a call of the client itself gives."""
        return await self._outcome(call, {}, timeouts)

    async def post(
        self, path: str, body: Mapping[str, Any], *, timeouts: Timeouts
    ) -> tuple[Any, Mapping[str, str]]:
        """An answer in one piece, with its headers."""
        call = self._client.post(
            path, cast_to=_response_type(), body=body, options={"timeout": self._timeout(timeouts)}
        )
        response = await self._outcome(call, body, timeouts)
        return self._sound(self._json(response), response.headers), response.headers

    async def stream(
        self, path: str, body: Mapping[str, Any], pieces: Gathers, *, timeouts: Timeouts
    ) -> tuple[Any, Mapping[str, str]]:
        """An answer in pieces, put together; what came before it broke off is kept and marked."""
        call = self._client.post(
            path,
            cast_to=object,
            body=body,
            options={"timeout": self._timeout(timeouts)},
            stream=True,
            stream_cls=self._library.AsyncStream[object],
        )
        stream = await self._outcome(call, body, timeouts)
        headers = stream.response.headers
        if "event-stream" not in headers.get("content-type", ""):  # one piece, or a page of a proxy
            await self._outcome(stream.response.aread(), body, timeouts)
            return self._sound(self._json(stream.response), headers), headers
        failure = await self._gathered(stream, pieces, timeouts)
        if failure is not None and not pieces.begun:
            raise RequestFailed(failure)
        if not pieces.ended and not pieces.begun:
            raise malformed("no_choices", "a stream must hold at least one of choices, got none.")
        return pieces.body(interrupted=not pieces.ended), headers

    def redact(self, text: str) -> str:
        """A text without the key."""
        return self._secret.redacted(text) if self._secret else text

    async def _outcome(self, call: Any, sent: Mapping[str, Any], timeouts: Timeouts) -> Any:
        failure, found = await self._tried(call, sent, timeouts.first)
        # Outside of the handler: the client's error, which holds the key, is no context of this one.
        if failure is not None:
            raise RequestFailed(failure)
        return found

    async def _gathered(self, stream: Any, pieces: Gathers, timeouts: Timeouts) -> Failure | None:
        """Adds all pieces up; what broke the stream off, if anything did."""
        left = aiter(stream)
        patience = timeouts.first
        while True:
            failure, piece = await self._tried(_next(left), {}, patience)
            if failure is None and isinstance(piece, Mapping) and piece.get("error"):
                failure = failure_of(Told(None, piece, {}), redact=self.redact)
            if failure is not None:
                await stream.close()
                return failure
            if piece is None:
                return None
            if isinstance(piece, Mapping):
                pieces.add(piece)
            patience = timeouts.idle

    async def _tried(self, call: Any, sent: Mapping[str, Any], patience: float) -> tuple[Failure | None, Any]:
        """What a call of the client gives, or its failure."""
        try:
            async with asyncio.timeout(patience):
                return None, await call
        except self._library.APIStatusError as error:
            status = error.status_code if error.status_code >= 400 else None  # an error within a stream
            told = Told(status, error.body, error.response.headers)
            return self._mended(told, sent) or failure_of(told, redact=self.redact), None
        except (TimeoutError, self._library.APITimeoutError):
            return _transient("timeout", "the server did not answer in time."), None
        except self._library.APIConnectionError as error:
            why = clean(str(error.__cause__ or error), self.redact)
            # Where nobody was reached nothing can have been billed.
            reason = "connect" if type(error.__cause__).__name__.startswith("Connect") else "connection"
            return _transient(reason, f"the connection failed: {why}"), None
        except self._library.APIError as error:
            return failure_of(Told(None, {"error": error.body}, {}), redact=self.redact), None
        except json.JSONDecodeError as error:
            return not_json(error.doc, status=None, redact=self.redact), None
        except _broken_off() as error:
            return _transient("connection", f"the connection failed: {clean(str(error), self.redact)}"), None

    def _mended(self, told: Told, sent: Mapping[str, Any]) -> Failure | None:
        """A refusal of a field that can be put otherwise: the next attempt does."""
        name = refused_field(told, sent)
        if name is None:
            return None
        said = clean(told.words()[0], self.redact)
        if not self._dialect.learn(name, value=sent[name]):
            message = f"{name} must be left as the server has it, got {sent[name]!r}; {said}"
            return Failure(FailureClass.PERMANENT, "unsupported", message, status=told.status)
        if name == "seed":
            say_no_seeds()
        message = f"{name} is put otherwise from now on; {said}"
        return Failure(FailureClass.TRANSIENT, "unsupported", message, status=told.status, retry_after=0.0)

    def _timeout(self, timeouts: Timeouts) -> Any:
        # The largest image takes its time to be sent; asyncio's clock watches over reading.
        return self._library.Timeout(timeouts.first, connect=timeouts.connect, pool=None)

    def _json(self, response: Any) -> Any:
        try:
            return json.loads(response.content)
        except ValueError:
            text = response.content.decode("utf-8", "replace")
            raise RequestFailed(not_json(text, status=response.status_code, redact=self.redact)) from None

    def _sound(self, told: Any, headers: Mapping[str, str]) -> Any:
        """The answer, unless it is an error: some gateways say 200 to one."""
        if isinstance(told, Mapping) and told.get("error"):
            raise RequestFailed(failure_of(Told(None, told, headers), redact=self.redact))
        return told


def library(name: str, *, extra: str) -> Any:
    """The module of a client.

    Raises:
        UserError: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(
            f"this endpoint needs the {name} client. Install it: pip install 'limbeck[{extra}]'."
        ) from None


def http_client(module: Any) -> Any:
    """Connections for a client of `module`: as many as there are workers, each kept."""
    # The clients' own bound of 100 kept connections would reopen all others at every call.
    limits = module.DEFAULT_CONNECTION_LIMITS.__class__(max_connections=None, max_keepalive_connections=None)
    from limbeck.endpoint.transports.pools import pooled

    return module.DefaultAsyncHttpxClient(limits=limits, mounts=pooled(limits))


def say_no_seeds() -> None:
    """Warns that draws cannot be made again."""
    warnings.warn(
        "the endpoint takes no seed, so none is sent: draws are kept, but cannot be made again",
        stacklevel=2,
    )


async def _next(left: AsyncIterator[Any]) -> Any:
    return await anext(left, None)


def _transient(reason: str, message: str) -> Failure:
    return Failure(FailureClass.TRANSIENT, reason, message)


def _response_type() -> Any:
    import httpx2

    return httpx2.Response


def _broken_off() -> Any:
    """What the clients let pass while a stream or a body is read."""
    import httpx2

    return httpx2.TransportError
