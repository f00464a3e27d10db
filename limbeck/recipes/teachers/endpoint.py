"""A teacher behind a wire: a model that a server lets one ask."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from limbeck.core.config import Config
from limbeck.recipes.references import Names
from limbeck.recipes.teachers.capabilities import CAPTURED, TEXT
from limbeck.recipes.teachers.teacher import Teacher

Api = Literal["openai", "anthropic", "completions"]


class Budget(Config):
    """The most that a run may ask of a teacher; one that reaches it pauses, and goes on with a higher one."""

    calls: int | None = Field(default=None, ge=1, description="that are sent, those that failed included")
    tokens: int | None = Field(default=None, ge=1, description="that are read and written")
    money: float | None = Field(default=None, gt=0, description="in the currency of the price table")


class EndpointTeacher(Teacher):
    """A model that is asked over HTTP, and writes text."""

    form: ClassVar[str] = "endpoint"
    example: ClassVar[str] = "{endpoint: URL, model: NAME}"
    without_effect: ClassVar[frozenset[str]] = frozenset({
        "api_key_env", "workers", "requests_per_minute", "tokens_per_minute", "budget", "prices",
        "timeout", "idle_timeout", "journal", "durability", "batch", "retry_failed",
    })  # fmt: skip

    endpoint: str = Field(description="URL of the API, as its client takes it: http://127.0.0.1:8000/v1")
    model: str = Field(description="name of the model at the server")
    label: str = Field(
        default="",
        description="which weights the server has under that name (a revision, a precision): another label "
        "asks everything anew",
    )
    api: Api = Field(
        default="openai",
        description="openai: chat completions; anthropic: messages; completions: raw text, without the "
        "server's chat template",
    )
    api_key_env: str | None = Field(
        default=None, description="environment variable with its key; none: it needs no key"
    )
    workers: int = Field(default=64, ge=1, description="calls that are under way at once, at most")
    requests_per_minute: int | None = Field(default=None, ge=1, description="in any window of a minute")
    tokens_per_minute: int | None = Field(default=None, ge=1, description="read and written")
    budget: Budget = Field(default=Budget(), description="the most that a run may ask: calls, tokens, money")
    prices: str | None = Field(default=None, description="price table, a YAML or JSON file")
    timeout: float = Field(
        default=600.0,
        gt=0,
        description="seconds until an answer begins, or is there as a whole where it is not streamed; a call "
        "that takes longer is made again, and may have cost all it can",
    )
    idle_timeout: float | None = Field(
        default=None,
        gt=0,
        description="answers are streamed, and one without a new piece for so many seconds ends there and is "
        "marked as unfinished; none: each comes as a whole",
    )
    effort: str | None = Field(
        default=None, description="how much the model thinks, where it knows such a setting: low, high ..."
    )
    journal: str | None = Field(
        default=None, description="SQLite file with all answers; none: in `requests` beside the run folder"
    )
    durability: Literal["normal", "full"] = Field(
        default="normal", description="full: an answer also survives a loss of power, at some ms each"
    )
    retry_failed: bool = Field(
        default=False, description="ask again what the server refused for good in an earlier run"
    )
    batch: bool = Field(
        default=False, description="ask by the provider's batch API: cheaper, and answered within a day"
    )
    context: int | None = Field(
        default=None,
        ge=1,
        description="tokens of prompt and answer together that the model takes: with a tokenizer, a request "
        "that cannot fit fails before it is sent",
    )
    terms: str = Field(
        default="unknown", description="whether its answers may train other models, in its owner's words"
    )
    tokenizer: Annotated[str | None, Names("tokenizer")] = Field(
        default=None,
        description="folder or id of its tokenizer: counts tokens before they are sent, and writes prompts "
        "as text for `api: completions`",
    )
    extra: dict[str, Any] = Field(
        default_factory=dict, description="further fields of each call, as the server names them"
    )

    @property
    def said(self) -> str:
        """What it is, in messages."""
        return f"the endpoint {self.called}"

    @property
    def called(self) -> str:
        """Model and server, without what only a machine reads."""
        place = self.endpoint.partition("://")[2] or self.endpoint
        return f"{self.model} at {place.rstrip('/').removesuffix('/v1')}"

    def gives(self) -> frozenset[str]:
        """Text; scores for a store where its tokens are known."""
        return frozenset({TEXT} if self.tokenizer is None else {TEXT, CAPTURED})

    def problems(self) -> Iterator[str]:
        """What can be seen without asking."""
        if not self.endpoint.startswith(("http://", "https://")):
            yield f"endpoint must be a URL with http:// or https://, got {self.endpoint!r}."
        if self.api_key_env is not None and not self.api_key_env.replace("_", "").isalnum():
            yield (
                f"api_key_env must be the name of an environment variable, got {len(self.api_key_env)} "
                "characters that are none. Put the key into a variable, and name that."
            )
        if self.batch and self.api == "completions":
            yield "batch must be false with api: completions, got true; batch APIs take conversations."
