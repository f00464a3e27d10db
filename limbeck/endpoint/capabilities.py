"""What an endpoint has been seen to do, and what a recipe needs of it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from limbeck.core.asking import Request
from limbeck.core.errors import ConfigError, Problem
from limbeck.endpoint.structured import TIERS, Tier
from limbeck.endpoint.transports.dialect import Dialect

VERSION = 1
"""Of what a probe asks; another one is asked anew."""

Need = Literal[
    "chat",
    "completions",
    "token_ids",
    "n",
    "logprobs",
    "completion_logprobs",
    "prompt_logprobs",
    "seed",
    "schema",
    "temperature",
    "usage",
]
"""What can be needed. For log-probabilities a number says how many candidates; for the others it is 1."""

_MEANT: Mapping[str, str] = {
    "chat": "answers to messages",
    "completions": "continuation of a text as it is (/completions)",
    "token_ids": "prompts of token ids",
    "n": "several answers in one call",
    "logprobs": "log-probabilities of chat answers",
    "completion_logprobs": "log-probabilities of continued texts",
    "prompt_logprobs": "log-probabilities of the prompt",
    "seed": "draws that a seed repeats",
    "schema": "answers that are held to a JSON schema by the server",
    "temperature": "a temperature other than 1",
    "usage": "counts of tokens",
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What calls of one token came back with.

    Attributes:
        chat: it answers messages.
        completions: it continues a text.
        token_ids: it continues token ids, and counts as many as were sent.
        n: two answers came of one call.
        logprobs: most candidates a token of a chat answer came with; None: no log-probabilities came.
        completion_logprobs: the same for a continued text.
        prompt_logprobs: the same for a prompt.
        seed: whether the same seed drew the same answer and others other ones; None: all draws were equal,
            so nothing can be said.
        tier: the strongest way of asking for a schema that held; `prompt`: none did.
        temperature: it takes one other than 1.
        usage: it counts tokens.
        limit: the field for the most tokens of an answer.
        without: fields that it refuses.
        thoughts: where its thoughts are: `field` (or `<think>`), `hidden`, or nowhere (None).
        context: tokens of prompt and answer together, where it tells.
        server: what it seems to run, where it tells.
        models: that it serves, where it tells.
        why: what was said where something is not there.
        notes: what else a user should know.
        calls: that were made to find out.
    """

    chat: bool = False
    completions: bool = False
    token_ids: bool = False
    n: bool = False
    logprobs: int | None = None
    completion_logprobs: int | None = None
    prompt_logprobs: int | None = None
    seed: bool | None = None
    tier: Tier = "prompt"
    temperature: bool = True
    usage: bool = False
    limit: str = "max_tokens"
    without: tuple[str, ...] = ()
    thoughts: str | None = None
    context: int | None = None
    server: str = ""
    models: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    calls: int = 0

    def dialect(self) -> Dialect:
        """How calls are put for this endpoint."""
        return Dialect(
            limit=self.limit,
            tier=self.tier,
            without=set(self.without),
            ids_in_scores=self.server == "vllm",
        )

    def amount(self, need: Need) -> int:
        """How much of a need is there: candidates of log-probabilities (0: the token's own alone), or 1.

        Returns:
            -1 where it is not there.
        """
        if need == "schema":
            return 1 if self.tier != TIERS[-1] else -1
        value = getattr(self, need)
        if need.endswith("logprobs"):
            return -1 if value is None else value
        return 1 if value else -1

    def as_dict(self) -> dict[str, Any]:
        """As JSON knows it."""
        return asdict(self) | {"why": dict(self.why)}

    @classmethod
    def of_dict(cls, found: Mapping[str, Any]) -> "Capabilities":
        """What `as_dict` gave, from JSON."""
        listed = {name: tuple(found[name]) for name in ("without", "models", "notes")}
        return cls(**{**found, **listed})


def needs_of(requests: Iterable[Request]) -> dict[Need, int]:
    """What requests need of whoever answers them.

    A schema is none of it: where no server holds an answer to it, it is asked for in words and checked here.
    Neither is a seed, which is left out where it is refused.

    Example:
        >>> needs_of([Request(text="Once", temperature=0, logprobs=5), Request(text="Once", logprobs=20)])
        {'completions': 1, 'completion_logprobs': 20, 'temperature': 1}
    """
    needs: dict[Need, int] = {}

    def need(name: Need, amount: int | None) -> None:
        if amount is not None:
            needs[name] = max(amount, needs.get(name, 0))

    for one in requests:
        need("chat" if one.messages else "completions" if one.text is not None else "token_ids", 1)
        need("logprobs" if one.messages else "completion_logprobs", one.logprobs)
        need("prompt_logprobs", one.prompt_logprobs)
        need("temperature", 1 if one.temperature != 1 else None)
    return needs


def require(capabilities: Capabilities, needs: Mapping[Need, int], *, where: str = "teacher") -> None:
    """Refuses an endpoint that lacks what a recipe needs, before anything is spent.

    Args:
        capabilities: as they were probed.
        needs: how much of what, such as {"logprobs": 20, "seed": 1}; what the server ignores is not there.
        where: the endpoint's place in the recipe.

    Raises:
        ConfigError: naming all that is missing, with what the server said.

    Example:
        >>> require(Capabilities(chat=True, logprobs=5), {"chat": 1, "logprobs": 5})
    """
    problems = []
    for need, least in needs.items():
        if need not in get_args(Need):
            raise ConfigError(f"need must be one of {', '.join(get_args(Need))}, got {need!r}.")
        found = capabilities.amount(need)
        if found >= least:
            continue
        got = f"at most {found}" if found >= 0 else "none"
        said = capabilities.why.get(need)
        problems.append(
            Problem(
                where,
                f"the endpoint must give {_MEANT[need]}"
                f"{f' with {least} candidates' if need.endswith('logprobs') else ''}, got {got}"
                f"{f'; {said}' if said else ''}. Ask a server that does, or "
                "take a recipe without this need; if the server has changed, `limbeck probe` asks it anew.",
            )
        )
    if problems:
        raise ConfigError(problems)
