"""Calls through the `openai` client, one attempt each, to any server that speaks OpenAI's form."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from limbeck.core.asking import Request
from limbeck.endpoint.logprobs import Vocabulary
from limbeck.endpoint.secret import Secret
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transport import Answer
from limbeck.endpoint.transports.calls import NO_KEY, Calls, http_client, library
from limbeck.endpoint.transports.dialect import Dialect
from limbeck.endpoint.transports.failures import malformed
from limbeck.endpoint.transports.headers import wait
from limbeck.endpoint.transports.openai_form import body_of, path_of, replies_of
from limbeck.endpoint.transports.openai_streams import Pieces


class OpenAITransport:
    """A teacher that is reached by OpenAI's form of chat and plain completions.

    Attributes:
        dialect: how this server wants calls put; what it refuses is added.
        calls: through the client; other parts of the API are reached by them too.
    """

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
            dialect: as a probe found it; None: the server's refusals teach it.
            stream: answers come in pieces.
            vocabulary: the bytes of every token id of the teacher, where its tokenizer is at hand.
        """
        openai = library("openai", extra="endpoint")
        self._model, self._stream, self._vocabulary = model, stream, vocabulary
        self.dialect = dialect or Dialect()
        self.client = openai.AsyncOpenAI(
            base_url=url,
            api_key=secret.reveal() if secret else NO_KEY,
            max_retries=0,
            http_client=http_client(openai),
        )
        self.calls = Calls(openai, self.client, secret=secret, dialect=self.dialect)

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """One call for one answer, as `limbeck.endpoint.transport.Transport` says."""
        return (await self._call(request, seed=seed, n=1, timeouts=timeouts))[0]

    async def aclose(self) -> None:
        """Closes connections."""
        await self.client.close()

    async def get(self, path: str, *, timeouts: Timeouts) -> Any:
        """What the server tells at a path, such as its list of models.

        Raises:
            RequestFailed: as `send`.
        """
        return await self.calls.get(path, timeouts=timeouts)

    async def _call(
        self, request: Request, *, seed: int | None, n: int, timeouts: Timeouts
    ) -> tuple[Answer, ...]:
        path = path_of(request)
        body = body_of(request, model=self._model, dialect=self.dialect, seed=seed, n=n, stream=self._stream)
        tier = self.dialect.tier if request.schema is not None else None
        if self._stream:
            told, headers = await self.calls.stream(path, body, Pieces(), timeouts=timeouts)
        else:
            told, headers = await self.calls.post(path, body, timeouts=timeouts)
        replies = replies_of(told, request, vocabulary=self._vocabulary)
        if len(replies) < n:
            raise malformed("few_choices", f"choices must be {n}, as n is, got {len(replies)}.")
        fingerprint = str(told.get("system_fingerprint") or "")
        return tuple(
            Answer(replace(reply, tier=tier), wait=wait(headers), fingerprint=fingerprint)
            for reply in replies[:n]
        )


class OpenAIManyTransport(OpenAITransport):
    """The same for servers that draw several answers in one call, as a probe has found."""

    async def send_many(
        self, request: Request, *, seeds: Sequence[int | None], timeouts: Timeouts
    ) -> tuple[Answer, ...]:
        """One call for `len(seeds)` answers, drawn from the first of the seeds."""
        return await self._call(request, seed=seeds[0], n=len(seeds), timeouts=timeouts)
