"""Calls through the `anthropic` client, one attempt each, to servers that speak Messages."""

from dataclasses import replace

from limbeck.core.asking import Request
from limbeck.endpoint.secret import Secret
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transport import Answer
from limbeck.endpoint.transports.anthropic_form import PATH, Pieces, body_of, reply_of
from limbeck.endpoint.transports.calls import NO_KEY, Calls, http_client, library, say_no_seeds
from limbeck.endpoint.transports.dialect import Dialect
from limbeck.endpoint.transports.headers import wait


class AnthropicTransport:
    """A teacher that is reached by Anthropic's form of messages.

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
        cached: bool = True,
    ) -> None:
        """
        Args:
            url: base URL, such as https://api.anthropic.com; /v1 at its end is taken off.
            model: as the server names it.
            secret: its key; None: it needs none.
            dialect: None: the server's refusals teach it.
            stream: answers come in pieces.
            cached: the system turn is marked to be read from the cache by the requests after it.
        """
        anthropic = library("anthropic", extra="anthropic")
        self._model, self._stream, self._cached = model, stream, cached
        self._said = False
        self.dialect = dialect or Dialect()
        self.client = anthropic.AsyncAnthropic(
            base_url=url.removesuffix("/").removesuffix("/v1"),
            api_key=secret.reveal() if secret else NO_KEY,
            max_retries=0,
            http_client=http_client(anthropic),
        )
        self.calls = Calls(anthropic, self.client, secret=secret, dialect=self.dialect)

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """One call for one answer, as `limbeck.endpoint.transport.Transport` says; seeds are not sent."""
        if seed is not None and not self._said:
            self._said = True
            say_no_seeds()
        body = body_of(
            request, model=self._model, dialect=self.dialect, cached=self._cached, stream=self._stream
        )
        tier = None
        if request.schema is not None:
            tier = "json_schema" if self.dialect.tier == "json_schema" else "prompt"
        if self._stream:
            told, headers = await self.calls.stream(PATH, body, Pieces(), timeouts=timeouts)
        else:
            told, headers = await self.calls.post(PATH, body, timeouts=timeouts)
        return Answer(replace(reply_of(told), tier=tier), wait=wait(headers))

    async def aclose(self) -> None:
        """Closes connections."""
        await self.client.close()
