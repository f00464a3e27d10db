"""OpenAI's batch API: a file of requests goes up, files of results and of errors come down."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from limbeck.core.asking import Failure, Reply, Request, RequestFailed
from limbeck.endpoint.batch.form import Asked, State
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.transports.failures import Told, failure_of
from limbeck.endpoint.transports.openai import OpenAITransport
from limbeck.endpoint.transports.openai_form import body_of, path_of, replies_of

TAG = "limbeck"
"""Under this name a batch's metadata holds the tag by which it is found again."""

_ENDED = ("completed", "failed", "expired", "cancelled")
# Rows that were not tried stand in the error file, with one of these codes.
_UNTRIED = ("batch_expired", "batch_cancelled", "batch_canceled")
_PAGE = 100  # batches that are listed at once


class OpenAIBatches:
    """Batches of servers in OpenAI's form.

    Source:
        openai 3.57, `types/batch_create_params.py`: 50,000 requests and 200 MB a batch, 24 hours.
    """

    most = 50_000
    most_bytes = 200_000_000

    def __init__(self, transport: OpenAITransport, *, model: str, timeouts: Timeouts) -> None:
        """
        Args:
            transport: to the endpoint; its client carries the calls.
            model: as the server names it.
            timeouts: of each call.
        """
        self._transport, self._model, self._timeouts = transport, model, timeouts

    def asked(self, key: str, request: Request, seed: int | None) -> Asked:
        """A line of the file that goes up."""
        path = path_of(request)
        body = body_of(request, model=self._model, dialect=self._transport.dialect, seed=seed)
        line = {"custom_id": key, "method": "POST", "url": f"/v1{path}", "body": body}
        return Asked(key, path, json.dumps(line).encode() + b"\n")

    async def submit(self, asked: Sequence[Asked], tag: str) -> str:
        """Uploads a file and begins a batch on it."""
        client, calls = self._transport.client, self._transport.calls
        content = b"".join(one.line for one in asked)
        upload = client.files.create(file=(f"{tag}.jsonl", content), purpose="batch")
        file = await calls.made(upload, timeouts=self._timeouts)
        begun, _ = await calls.post(
            "/batches",
            {
                "input_file_id": file.id,
                "endpoint": f"/v1{asked[0].group}",
                "completion_window": "24h",
                "metadata": {TAG: tag},
            },
            timeouts=self._timeouts,
        )
        return str(begun["id"])

    async def find(self, tag: str, *, count: int, since: float) -> str | None:
        """Looks through the batches, newest first, for one with this tag."""
        after = ""
        while True:
            path = f"/batches?limit={_PAGE}{f'&after={after}' if after else ''}"
            page = await self._transport.calls.get(path, timeouts=self._timeouts)
            listed = page.get("data") or []
            for batch in listed:
                if (batch.get("metadata") or {}).get(TAG) == tag:
                    return str(batch["id"])
            if not listed or not page.get("has_more") or listed[-1].get("created_at", 0) < since - _SLACK:
                return None
            after = str(listed[-1]["id"])

    async def state(self, batch: str) -> State:
        """How far a batch is, with its two files."""
        told = await self._transport.calls.get(f"/batches/{batch}", timeouts=self._timeouts)
        status = str(told.get("status"))
        files = tuple(str(told[name]) for name in ("output_file_id", "error_file_id") if told.get(name))
        errors = (told.get("errors") or {}).get("data") or []
        failure = None
        if status == "failed":
            first = errors[0] if errors else {"message": "the batch failed"}
            failure = failure_of(Told(_status(first), {"error": first}, {}), redact=self._redact)
        return State(status in _ENDED, status, failure, files)

    async def results(self, state: State) -> AsyncIterator[tuple[str, Any]]:
        """Lines of both files: an answer stands in the one, an error in the other."""
        for file in state.results:
            content = await self._transport.calls.content(f"/files/{file}/content", timeouts=self._timeouts)
            for line in content.splitlines():
                if line.strip():
                    found = json.loads(line)
                    yield str(found.get("custom_id")), found

    def outcome(self, result: Any, request: Request) -> Reply | Failure | None:
        """The reply of a line, or why there is none."""
        error, response = result.get("error"), result.get("response") or {}
        if error:
            if error.get("code") in _UNTRIED:
                return None
            return failure_of(Told(_status(error), {"error": error}, {}), redact=self._redact)
        body, status = response.get("body"), int(response.get("status_code") or 0)
        if status != 200:
            return failure_of(Told(status, body, {}), redact=self._redact)
        try:
            tier = self._transport.dialect.tier if request.schema is not None else None
            return replace(replies_of(body, request)[0], tier=tier)
        except RequestFailed as failed:
            return failed.failure

    async def aclose(self) -> None:
        """Closes connections."""
        await self._transport.aclose()

    def _redact(self, text: str) -> str:
        return self._transport.calls.redact(text)


_SLACK = 3600.0  # seconds by which the server's clock and ours may differ


def _status(error: Mapping[str, Any]) -> int | None:
    """What an error without a status of HTTP would have been."""
    code = str(error.get("code") or "")
    if "limit" in code or "quota" in code:
        return 429
    return 400 if code and code != "server_error" else None
