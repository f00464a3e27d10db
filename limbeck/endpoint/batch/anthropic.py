"""Anthropic's batches of messages: requests go up in one call, one file of results comes down."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from limbeck.core.asking import Failure, Reply, Request, RequestFailed
from limbeck.endpoint.batch.form import Asked, State
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transports.anthropic import AnthropicTransport
from limbeck.endpoint.transports.anthropic_form import PATH, body_of, reply_of
from limbeck.endpoint.transports.failures import Told, failure_of

BATCHES = f"{PATH}/batches"

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "timeout_error": 504,
    "api_error": 500,
    "overloaded_error": 529,
}
_SLACK = 300.0  # seconds by which the server's clock and ours may differ
_PAGE = 100


class AnthropicBatches:
    """Batches of Anthropic's Messages.

    They hold no metadata. One that was begun before this process died is known by when that was and by how
    many requests it has; a stranger's, should there be one alike, answers none of our keys, and ours are then
    asked again.

    Source:
        Anthropic's guide to message batches: 100,000 requests and 256 MB a batch, 24 hours.
    """

    most = 100_000
    most_bytes = 256_000_000

    def __init__(self, transport: AnthropicTransport, *, model: str, timeouts: Timeouts) -> None:
        """
        Args:
            transport: to the endpoint; its client carries the calls.
            model: as the server names it.
            timeouts: of each call.
        """
        self._transport, self._model, self._timeouts = transport, model, timeouts

    def asked(self, key: str, request: Request, seed: int | None) -> Asked:
        """An entry of the call that begins a batch; seeds are not sent."""
        params = body_of(request, model=self._model, dialect=self._transport.dialect)
        return Asked(key, "", json.dumps({"custom_id": key, "params": params}).encode())

    async def submit(self, asked: Sequence[Asked], tag: str) -> str:
        """Begins a batch."""
        requests = [json.loads(one.line) for one in asked]
        begun, _ = await self._transport.calls.post(BATCHES, {"requests": requests}, timeouts=self._timeouts)
        return str(begun["id"])

    async def find(self, tag: str, *, count: int, since: float) -> str | None:
        """A batch of as many requests that was begun at that time or later; the earliest of several."""
        page = await self._transport.calls.get(f"{BATCHES}?limit={_PAGE}", timeouts=self._timeouts)
        fitting = [
            batch
            for batch in page.get("data") or []
            if sum((batch.get("request_counts") or {}).values()) == count
            and _seconds(batch.get("created_at")) > since - _SLACK
        ]
        fitting.sort(key=lambda batch: _seconds(batch.get("created_at")))
        return str(fitting[0]["id"]) if fitting else None

    async def state(self, batch: str) -> State:
        """How far a batch is, with the address of its results."""
        told = await self._transport.calls.get(f"{BATCHES}/{batch}", timeouts=self._timeouts)
        ended = told.get("processing_status") == "ended"
        # The address the server tells leads to itself: only its path is taken, as ours may be a gateway.
        results = (f"{BATCHES}/{batch}/results",) if told.get("results_url") else ()
        return State(ended, "ended" if ended else "", None, results)

    async def results(self, state: State) -> AsyncIterator[tuple[str, Any]]:
        """Lines of the file of results."""
        for address in state.results:
            content = await self._transport.calls.content(address, timeouts=self._timeouts)
            for line in content.splitlines():
                if line.strip():
                    found = json.loads(line)
                    yield str(found.get("custom_id")), found

    def outcome(self, result: Any, request: Request) -> Reply | Failure | None:
        """The reply of a line, or why there is none."""
        told = result.get("result") or {}
        match told.get("type"):
            case "succeeded":
                held = "json_schema" if self._transport.dialect.tier == "json_schema" else "prompt"
                try:
                    return replace(
                        reply_of(told.get("message")), tier=held if request.schema is not None else None
                    )
                except RequestFailed as failed:
                    return failed.failure
            case "errored":
                error = told.get("error") or {}
                inner = error.get("error") or error
                status = _STATUS.get(str(inner.get("type")))
                return failure_of(Told(status, error, {}), redact=self._transport.calls.redact)
            case _:  # canceled, expired
                return None

    async def aclose(self) -> None:
        """Closes connections."""
        await self._transport.aclose()


def _seconds(told: Any) -> float:
    try:
        return datetime.fromisoformat(str(told)).timestamp()
    except ValueError:
        return 0.0
