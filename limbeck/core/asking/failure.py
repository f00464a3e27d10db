"""Why there is no answer: of one request, or of all of them for now."""

from dataclasses import dataclass
from enum import StrEnum

from limbeck.core.errors import LimbeckError


class FailureClass(StrEnum):
    """What kind of failure it is, which says what is done about it."""

    TRANSIENT = "transient"  # tried again: no connection, a timeout, 5xx
    RATE = "rate"  # waited for, and not counted as an attempt: 429
    QUOTA = "quota"  # stops the run: wrong key, nothing left to spend
    PERMANENT = "permanent"  # recorded: 400, 404, too long, filtered
    MALFORMED = "malformed"  # tried again twice: no JSON, no choices
    SEMANTIC = "semantic"  # an answer that does not fit its schema, or was refused


@dataclass(frozen=True, slots=True)
class Failure:
    """What came instead of an answer.

    Attributes:
        kind: which class of failure.
        reason: one word that reports count by: `context_length`, `content_filter`, `timeout`, `schema` ...
        message: what the server or the client said, without keys.
        status: of HTTP, if there was one.
        retry_after: seconds the server asked to wait.
        key: of the request with its teacher.
        attempts: that were made.
    """

    kind: FailureClass
    reason: str
    message: str
    status: int | None = None
    retry_after: float | None = None
    key: str = ""
    attempts: int = 1


class RequestFailed(LimbeckError):
    """One request has no answer."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(f"{failure.reason}: {failure.message}")


class Paused(LimbeckError):
    """Nothing more is asked for now; everything that was answered is kept, and the same command goes on.

    Attributes:
        why: `rate`, `budget`, `quota`, or `server` where it does not answer.
    """

    exit_code = 75
    """EX_TEMPFAIL: try again later."""

    def __init__(self, why: str, message: str) -> None:
        self.why = why
        super().__init__(f"paused: {why}. {message}")
