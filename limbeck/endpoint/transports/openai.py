"""Calls through the `openai` client, one attempt each, to any server that speaks OpenAI's form."""

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from limbeck.core.asking import Failure, FailureClass, Request, RequestFailed
from limbeck.core.errors import UserError
from limbeck.endpoint.logprobs import Vocabulary
from limbeck.endpoint.secret import Secret
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transport import Answer
from limbeck.endpoint.transports.dialect import Dialect
from limbeck.endpoint.transports.failures import Told, clean, failure_of, malformed, not_json, refused_field
from limbeck.endpoint.transports.headers import wait
from limbeck.endpoint.transports.openai_form import body_of, path_of, replies_of
from limbeck.endpoint.transports.openai_streams import Pieces

NO_KEY = "none"
"""Sent where an endpoint needs no key, as the client wants one."""


class OpenAITransport:
    """A teacher that is reached by OpenAI's form of chat and plain completions."""

    def __init__(
        self,
        *,
        url: str,
        model: str,
        secret: Secret | None = None,
        dialect: Dialect | None = None,
        stream: bool = False,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        """
        Args:
            url: base URL of the API, usually ending in /v1.
            model: as the server names it.
            secret: its key; None: it needs none.
            dialect: how this server wants calls put; what it refuses is added.
            stream: answers come in pieces.
            vocabulary: the bytes of every token id of the teacher, where its tokenizer is at hand.
        """
        openai = _client_library()
        self._errors = openai
        self._model, self._secret, self._stream, self._vocabulary = model, secret, stream, vocabulary
        self.dialect = dialect or Dialect()
        # Every worker keeps its connection: the client's own bound of 100 kept ones would reopen the others.
        limits = openai.DEFAULT_CONNECTION_LIMITS.__class__(
            max_connections=None, max_keepalive_connections=None
        )
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=secret.reveal() if secret else NO_KEY,
            max_retries=0,
            http_client=openai.DefaultAsyncHttpxClient(limits=limits),
        )

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """One call for one answer, as `limbeck.endpoint.transport.Transport` says."""
        return (await self._call(request, seed=seed, n=1, timeouts=timeouts))[0]

    async def aclose(self) -> None:
        """Closes connections."""
        await self._client.close()

    async def get(self, path: str, *, timeouts: Timeouts) -> Any:
        """What the server tells at a path, such as its list of models.

        Raises:
            RequestFailed: as `send`.
        """
        options = {"timeout": self._timeout(timeouts)}
        failure, response = await self._tried(
            self._client.get(path, cast_to=self._response_type(), options=options), {}, timeouts
        )
        if failure is not None:
            raise RequestFailed(failure)
        return self._json(response)

    async def _call(
        self, request: Request, *, seed: int | None, n: int, timeouts: Timeouts
    ) -> tuple[Answer, ...]:
        path = path_of(request)
        body = body_of(request, model=self._model, dialect=self.dialect, seed=seed, n=n, stream=self._stream)
        tier = self.dialect.tier if request.schema is not None else None
        if self._stream:
            told, headers = await self._streamed(path, body, timeouts)
        else:
            told, headers = await self._whole(path, body, timeouts)
        if isinstance(told, Mapping) and told.get("error"):  # some gateways say 200 to an error
            raise RequestFailed(failure_of(Told(None, told, headers), redact=self._redact))
        replies = replies_of(told, request, vocabulary=self._vocabulary)
        if len(replies) < n:
            raise malformed("few_choices", f"choices must be {n}, as n is, got {len(replies)}.")
        fingerprint = str(told.get("system_fingerprint") or "")
        return tuple(
            Answer(replace(reply, tier=tier), wait=wait(headers), fingerprint=fingerprint)
            for reply in replies[:n]
        )

    async def _whole(
        self, path: str, body: Mapping[str, Any], timeouts: Timeouts
    ) -> tuple[Any, Mapping[str, str]]:
        options = {"timeout": self._timeout(timeouts)}
        call = self._client.post(path, cast_to=self._response_type(), body=body, options=options)
        failure, response = await self._tried(call, body, timeouts)
        if failure is not None:
            raise RequestFailed(failure)
        return self._json(response), response.headers

    async def _streamed(
        self, path: str, body: Mapping[str, Any], timeouts: Timeouts
    ) -> tuple[Any, Mapping[str, str]]:
        options = {"timeout": self._timeout(timeouts)}
        call = self._client.post(
            path,
            cast_to=object,
            body=body,
            options=options,
            stream=True,
            stream_cls=self._errors.AsyncStream[object],
        )
        failure, stream = await self._tried(call, body, timeouts)
        if failure is not None:
            raise RequestFailed(failure)
        kind = stream.response.headers.get("content-type", "")
        if "event-stream" not in kind:  # a server that does not stream, or a page of a proxy
            failure, _ = await self._tried(stream.response.aread(), body, timeouts)
            if failure is not None:
                raise RequestFailed(failure)
            return self._json(stream.response), stream.response.headers
        pieces = Pieces()
        failure = await self._gathered(stream, pieces, timeouts)
        if failure is not None and not pieces.begun:
            raise RequestFailed(failure)
        if not pieces.ended and failure is None and not pieces.begun:
            raise malformed("no_choices", "a stream must hold at least one of choices, got none.")
        return pieces.body(interrupted=not pieces.ended), stream.response.headers

    async def _gathered(self, stream: Any, pieces: Pieces, timeouts: Timeouts) -> Failure | None:
        """Adds all pieces up; what broke the stream off, if anything did."""
        left = aiter(stream)
        patience = timeouts.first
        while True:
            failure, piece = await self._tried(_next(left), {}, timeouts, patience=patience)
            if failure is not None:
                await stream.close()
                return failure
            if piece is None:
                return None
            if isinstance(piece, Mapping):
                if piece.get("error"):
                    await stream.close()
                    return failure_of(Told(None, piece, {}), redact=self._redact)
                pieces.add(piece)
            patience = timeouts.idle

    async def _tried(
        self, call: Any, sent: Mapping[str, Any], timeouts: Timeouts, *, patience: float | None = None
    ) -> tuple[Failure | None, Any]:
        """What a call of the client gives, or its failure; never the client's error, which holds the key."""
        try:
            async with asyncio.timeout(timeouts.first if patience is None else patience):
                return None, await call
        except self._errors.APIStatusError as error:
            told = Told(error.status_code, error.body, error.response.headers)
            return self._mended(told, sent) or failure_of(told, redact=self._redact), None
        except (TimeoutError, self._errors.APITimeoutError):
            return _transient("timeout", "the server did not answer in time."), None
        except self._errors.APIConnectionError as error:
            why = clean(str(error.__cause__ or error), self._redact)
            # Where nobody was reached nothing can have been billed.
            reason = "connect" if type(error.__cause__).__name__.startswith("Connect") else "connection"
            return _transient(reason, f"the connection failed: {why}"), None
        except self._errors.APIError as error:
            return failure_of(Told(None, {"error": error.body}, {}), redact=self._redact), None
        except json.JSONDecodeError as error:
            return not_json(error.doc, status=None, redact=self._redact), None

    def _mended(self, told: Told, sent: Mapping[str, Any]) -> Failure | None:
        """A refusal of a field that can be put otherwise: the next attempt does."""
        name = refused_field(told, sent)
        if name is None:
            return None
        reason, message = clean(told.words()[0], self._redact), ""
        if not self.dialect.learn(name, value=sent[name]):
            message = f"{name} must be left as the server has it, got {sent[name]!r}; {reason}"
            return Failure(FailureClass.PERMANENT, "unsupported", message, status=told.status)
        if name == "seed":
            warnings.warn(
                "the endpoint takes no seed, so none is sent: draws are kept, but cannot be made again",
                stacklevel=2,
            )
        return Failure(
            FailureClass.TRANSIENT, "unsupported", f"{name} is put otherwise from now on; {reason}",
            status=told.status, retry_after=0.0,
        )  # fmt: skip

    def _timeout(self, timeouts: Timeouts) -> Any:
        # Writing takes as long as the largest image needs; reading is watched over by asyncio's clock.
        return self._errors.Timeout(timeouts.first, connect=timeouts.connect, pool=None)

    def _json(self, response: Any) -> Any:
        try:
            return json.loads(response.content)
        except ValueError:
            text = response.content.decode("utf-8", "replace")
            raise RequestFailed(not_json(text, status=response.status_code, redact=self._redact)) from None

    def _redact(self, text: str) -> str:
        return self._secret.redacted(text) if self._secret else text

    def _response_type(self) -> Any:
        import httpx2

        return httpx2.Response


class OpenAIManyTransport(OpenAITransport):
    """The same for servers that draw several answers in one call, as a probe has found."""

    async def send_many(
        self, request: Request, *, seeds: Sequence[int | None], timeouts: Timeouts
    ) -> tuple[Answer, ...]:
        """One call for `len(seeds)` answers, drawn from the first of the seeds."""
        return await self._call(request, seed=seeds[0], n=len(seeds), timeouts=timeouts)


async def _next(left: AsyncIterator[Any]) -> Any:
    return await anext(left, None)


def _transient(reason: str, message: str) -> Failure:
    return Failure(FailureClass.TRANSIENT, reason, message)


def _client_library() -> Any:
    try:
        import openai
    except ImportError:
        raise UserError(
            "endpoints need the openai client. Install it: pip install 'limbeck[endpoint]'."
        ) from None
    return openai
