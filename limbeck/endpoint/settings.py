"""What an endpoint is: where it is, which model answers, and how much may be asked of it."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import ConfigDict, Field, field_validator

from limbeck.core.config import Config
from limbeck.endpoint.prices import Amount, Price

# Names of query parameters that carry keys.
_KEYED = re.compile(r"key|token|secret|signature|password", re.IGNORECASE)


class Timeouts(Config):
    """How long one call waits, in seconds.

    Attributes:
        connect: for a connection. The default is that of the openai client.
        first: for the first byte of the answer, which is the whole of it where it is not streamed.
        idle: for the next byte of a stream; a slow model that goes on writing is never cut.
    """

    connect: float = Field(default=5.0, gt=0)
    first: float = Field(default=600.0, gt=0)
    idle: float = Field(default=120.0, gt=0)


class Budget(Config):
    """The most that one run may ask of an endpoint; None: no limit.

    Attributes:
        calls: that were sent and not turned away by a rate limit, those that failed included.
        tokens: that were read and written.
        money: in the currency of the price table.
    """

    calls: int | None = Field(default=None, ge=0)
    tokens: int | None = Field(default=None, ge=0)
    money: Amount | None = Field(default=None, ge=Decimal(0))


class Endpoint(Config):
    """A teacher behind a wire.

    Attributes:
        url: base URL of its API, such as http://127.0.0.1:8000/v1; it never holds a key.
        model: as the server names it.
        label: which weights these are (a revision, a quantisation), where servers call all by one name.
        api: the form of its API.
        api_key_env: environment variable with its key; None: it needs none.
        workers: calls that are under way at most.
        requests_per_minute: in any window of a minute.
        tokens_per_minute: read and written, in any window of a minute.
        budget: the most a run may ask.
        prices: a price table, or the file with one.
        timeouts: of one call.
        stream: answers come in pieces, so that `timeouts.idle` watches over them.
        context: tokens of prompt and answer together that the model takes; None: not known.
        batch: asked through the provider's batch API: cheaper, and answered within a day.
        journal: file that keeps what was asked and answered; None: one beside the run folders.
        durability: `normal` loses nothing when the process dies; `full` neither when the power fails, at some
            milliseconds a commit.
        terms: whether its answers may train other models, in the provider's words; copied to every row.
    """

    # pydantic's own text shows what it was given, and a URL may have been given with a key.
    model_config = ConfigDict(hide_input_in_errors=True)

    url: str
    model: str = Field(min_length=1)
    label: str = ""
    api: Literal["openai", "anthropic"] = "openai"
    api_key_env: str | None = Field(default=None, min_length=1)
    workers: int = Field(default=64, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    budget: Budget = Budget()
    prices: Path | tuple[Price, ...] = ()
    timeouts: Timeouts = Timeouts()
    stream: bool = False
    context: int | None = Field(default=None, ge=1)
    batch: bool = False
    journal: Path | None = None
    durability: Literal["normal", "full"] = "normal"
    terms: str = "unknown"

    @field_validator("url")
    @classmethod
    def _url_without_key(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"must be a URL such as http://127.0.0.1:8000/v1, got {_shown(url)!r}.")
        if parts.username or parts.password or any(_KEYED.search(name) for name, _ in parse_qsl(parts.query)):
            raise ValueError(
                "must not hold a key, got one. Put the key into an environment variable, and name that by "
                "api_key_env."
            )
        return url.rstrip("/")


def _shown(url: str) -> str:
    return re.sub(r"//[^@/]*@", "//[key]@", url.split("?", 1)[0])
