"""What went wrong with a call, by what a server or client says of it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.core.asking import Failure, FailureClass, RequestFailed
from limbeck.endpoint.transports.headers import retry_after

LONGEST = 500
"""Characters of a server's message that are kept."""

_CONTEXT = re.compile(
    r"context.{0,20}(length|size|window)|maximum (sequence|input|model) length|prompt is too long|"
    r"input is too long|too many (input )?tokens|longer than the maximum|reduce the length",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient.?(quota|credit|balance|funds)|exceeded your current quota|billing|"
    r"credit balance|out of credits|spend(ing)? limit",
    re.IGNORECASE,
)
_FILTER = re.compile(
    r"content.?(filter|policy|management)|ResponsibleAI|moderation|flagged|safety system", re.IGNORECASE
)
_MODEL = re.compile(
    r"model.{0,80}(not (found|exist|available|supported)|does ?n[o']t exist|unknown|invalid)|"
    r"(unknown|invalid|no such) model|model_not_found",
    re.IGNORECASE | re.DOTALL,
)
_REFUSED = re.compile(
    r"unsupported|not supported|does ?n[o']t support|unrecognized|unknown|unexpected|not permitted|"
    r"not allowed|extra (inputs|fields)|invalid (parameter|argument)|deprecated",
    re.IGNORECASE,
)
_HTML = re.compile(r"^\s*(<!doctype html|<html|<head|<body)", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*(.*?)\s*</title>", re.IGNORECASE | re.DOTALL)
# Keys as providers spell them; a server may echo a part of one, so what was sent is not all there is to hide.
_KEYS = re.compile(r"\b(sk|pk|rk|gsk|xai|hf|nvapi)[-_][A-Za-z0-9*_.\-]{6,}|(?i:bearer)\s+[^\s\"',}]+")


# Words of any sentence about a call.
_EVERYWHERE = ("model", "messages", "prompt", "stream", "stop", "n")


@dataclass(frozen=True, slots=True)
class Told:
    """An answer that is an error.

    Attributes:
        status: of HTTP; None: it came in a stream that had begun well.
        body: what it holds: parsed JSON, or text.
        headers: of it.
    """

    status: int | None
    body: Any
    headers: Mapping[str, str]

    def words(self) -> tuple[str, str, str]:
        """Message, code with type, and the field that is meant, wherever a server puts them."""
        body = self.body
        if isinstance(body, list) and len(body) == 1:
            body = body[0]
        if not isinstance(body, Mapping):
            return str(body or ""), "", ""
        error = body.get("error", body)
        if not isinstance(error, Mapping):
            return str(error), str(body.get("type", "")), ""
        message = error.get("message") or error.get("detail") or error.get("msg") or error
        code = f"{error.get('code') or ''} {error.get('type') or ''}"
        return str(message), code, str(error.get("param") or "")


def failure_of(told: Told, *, redact: Callable[[str], str] = str) -> Failure:
    """The class of an error that a server told.

    Args:
        told: the error.
        redact: takes keys out of texts.

    Returns:
        Its failure: a wrong key, spent credit and an unknown model stop a run (QUOTA), a limit of rate is
        waited for (RATE), too long, filtered and badly formed requests are recorded (PERMANENT), a page of
        HTML is MALFORMED, and the server's own troubles are TRANSIENT.
    """
    message, code, _ = told.words()
    kind, reason = _class_of(told.status, f"{code} {message}")
    if isinstance(told.body, str) and _HTML.match(told.body):
        title = _TITLE.search(told.body)
        message = f"an HTML page came instead of JSON{f' ({title[1]})' if title else ''}."
        if kind is FailureClass.PERMANENT:
            kind, reason = FailureClass.MALFORMED, "html"
    return Failure(
        kind,
        reason,
        clean(message or f"HTTP {told.status}", redact),
        status=told.status,
        retry_after=retry_after(told.headers),
    )


def refused_field(told: Told, fields: Mapping[str, Any]) -> str | None:
    """Which field of a call a server refuses as such, whatever its value; None: that is not what it says."""
    if told.status not in (400, 422):
        return None
    message, code, param = told.words()
    if not _REFUSED.search(f"{code} {message}"):
        return None
    if param.split(".")[0] in fields:
        return param.split(".")[0]
    # "Use max_completion_tokens instead of max_tokens" names the right one too: it was not sent.
    named = (name for name in fields if re.search(rf"\b{re.escape(name)}\b", message))
    return next((name for name in named if name not in _EVERYWHERE), None)


def not_json(text: str, *, status: int | None, redact: Callable[[str], str] = str) -> Failure:
    """The failure of an answer that says that it went well and is no JSON."""
    if _HTML.match(text):
        return failure_of(Told(400, text, {}), redact=redact)
    start = clean(text[:100], redact)
    return Failure(
        FailureClass.MALFORMED, "not_json", f"the answer must be JSON, got {start!r}.", status=status
    )


def clean(message: str, redact: Callable[[str], str] = str) -> str:
    """A message without keys, on one line, no longer than is useful.

    Example:
        >>> clean("Incorrect API key provided: sk-abcdef123456. Bearer xyz")
        'Incorrect API key provided: [key] [key]'
    """
    message = _KEYS.sub("[key]", redact(message))
    message = " ".join(message.split())
    return message if len(message) <= LONGEST else f"{message[:LONGEST]}..."


def malformed(reason: str, message: str) -> RequestFailed:
    """An answer that lacks what it must have."""
    return RequestFailed(Failure(FailureClass.MALFORMED, reason, message))


def _class_of(status: int | None, words: str) -> tuple[FailureClass, str]:
    if status == 402 or (status in (None, 400, 403, 429) and _QUOTA.search(words)):
        return FailureClass.QUOTA, "insufficient_quota"
    if status == 429 or (status is None and re.search(r"rate.?limit", words, re.IGNORECASE)):
        return FailureClass.RATE, "rate_limit"
    if status in (401, 403):
        if _FILTER.search(words):
            return FailureClass.PERMANENT, "content_filter"
        return FailureClass.QUOTA, "key" if status == 401 else "forbidden"
    if status in (408, 504):
        return FailureClass.TRANSIENT, "timeout"
    if status in (503, 529) or "overloaded" in words:
        return FailureClass.TRANSIENT, "overloaded"
    # llama.cpp and vLLM have told of too long a prompt with 500 as well.
    if _CONTEXT.search(words):
        return FailureClass.PERMANENT, "context_length"
    if status is None or status >= 500 or status == 409:
        return FailureClass.TRANSIENT, "server_error"
    if _FILTER.search(words):
        return FailureClass.PERMANENT, "content_filter"
    if status in (400, 404) and _MODEL.search(words):
        return FailureClass.QUOTA, "model_unknown"
    if status == 404:
        return FailureClass.PERMANENT, "not_found"
    return FailureClass.PERMANENT, "too_large" if status == 413 else "bad_request"
