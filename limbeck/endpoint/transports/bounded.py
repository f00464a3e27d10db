"""Requests that cannot fit a model's context, refused before they are sent."""

from collections.abc import Callable, Sequence

from limbeck.core.asking import Failure, FailureClass, Request, RequestFailed
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transport import Answer, ManyTransport, Transport


class BoundedTransport:
    """A transport that counts first."""

    def __init__(self, inner: Transport, *, context: int, count_tokens: Callable[[Request], int]) -> None:
        """
        Args:
            inner: carries the calls that fit.
            context: tokens of prompt and answer together that the model takes.
            count_tokens: of a prompt, by the teacher's tokenizer.
        """
        self._inner, self._context, self._count = inner, context, count_tokens

    async def send(self, request: Request, *, seed: int | None, timeouts: Timeouts) -> Answer:
        """The answer, or the failure `context_length` without a call."""
        self._check(request)
        return await self._inner.send(request, seed=seed, timeouts=timeouts)

    async def aclose(self) -> None:
        """As the inner one."""
        await self._inner.aclose()

    def _check(self, request: Request) -> None:
        prompt = self._count(request)
        if prompt + request.max_tokens > self._context:
            raise RequestFailed(
                Failure(
                    FailureClass.PERMANENT,
                    "context_length",
                    f"prompt and answer must fit into {self._context:,} tokens, got {prompt:,} of the prompt "
                    f"and max_tokens {request.max_tokens:,}. Shorten the prompt or lower max_tokens.",
                )
            )


class BoundedManyTransport(BoundedTransport):
    """The same where several answers come of one call."""

    async def send_many(
        self, request: Request, *, seeds: Sequence[int | None], timeouts: Timeouts
    ) -> tuple[Answer, ...]:
        """The answers, or the failure without a call."""
        self._check(request)
        assert isinstance(self._inner, ManyTransport)
        return await self._inner.send_many(request, seeds=seeds, timeouts=timeouts)


def bounded(
    inner: Transport, *, context: int | None, count_tokens: Callable[[Request], int] | None
) -> Transport:
    """The transport, which counts first where both the tokenizer and the context are known."""
    if context is None or count_tokens is None:
        return inner
    kind = BoundedManyTransport if isinstance(inner, ManyTransport) else BoundedTransport
    return kind(inner, context=context, count_tokens=count_tokens)
