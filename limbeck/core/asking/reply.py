"""What a teacher answered. A failure is none of these: it cannot be rendered, kept or learnt from."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Finish = Literal["stop", "length", "tool_calls", "content_filter", "interrupted", "unknown"]
"""Why an answer ended: by itself, at `max_tokens`, to call a tool, withheld, or its stream broke off."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call.

    Attributes:
        prompt: that were read.
        cached: of these, those the server had read before and bills for less.
        completion: that were written, thoughts included.
        reasoning: of these, those of thoughts.
        estimated: whether they were counted here, as the server did not say.
        stored: of `prompt`, those the server kept to read them for less later, and may bill for more now.
    """

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    reasoning: int = 0
    estimated: bool = False
    stored: int = 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """One token that could have stood at a position: its bytes, log-probability, and id where it is told."""

    data: bytes
    logprob: float
    token_id: int | None = None


@dataclass(frozen=True, slots=True)
class TokenScores:
    """A position of a text, as the teacher saw it.

    Attributes:
        chosen: the token that stands there; it need not be among `top`.
        top: the likeliest, in falling order.
    """

    chosen: Candidate
    top: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a function: its arguments are JSON as the teacher wrote them, and may not parse."""

    name: str
    arguments: str
    call_id: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Attributes:
        text: without thoughts.
        finish: why it ended.
        reasoning: thoughts that came before it; None: none were told.
        hidden_reasoning: whether there were thoughts that the server keeps to itself.
        tool_calls: functions that it calls.
        parsed: the value, where the request had a schema.
        tier: how the schema was held: json_schema, json_object, grammar or prompt.
        usage: tokens.
        scores: of the tokens it wrote.
        prompt_scores: of the tokens it read, without the first.
        served_model: what the server says it is.
        key: of the request with its teacher, under which it is kept.
        cost: what it cost when it was bought, in the currency of the price table; the same where it was kept
            already, so that rows made again are equal. None where no price is known.
        from_cache: whether it was kept already, and nothing was spent on it now.
    """

    text: str
    finish: Finish = "stop"
    reasoning: str | None = None
    hidden_reasoning: bool = False
    tool_calls: tuple[ToolCall, ...] = ()
    parsed: Any = None
    tier: str | None = None
    usage: Usage = Usage()
    scores: tuple[TokenScores, ...] | None = None
    prompt_scores: tuple[TokenScores, ...] | None = None
    served_model: str = ""
    key: str = ""
    cost: Decimal | None = None
    from_cache: bool = False

    @property
    def stopped(self) -> bool:
        """Whether it ended by itself, and was not cut."""
        return self.finish in ("stop", "tool_calls")

    def turn(self) -> Mapping[str, Any]:
        """As a turn of a conversation; its thoughts beside its content."""
        turn: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.reasoning:
            turn["reasoning_content"] = self.reasoning
        if self.tool_calls:
            turn["tool_calls"] = [
                {
                    "id": call.call_id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in self.tool_calls
            ]
        return turn
