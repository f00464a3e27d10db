"""One call to a teacher that writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Turn = Mapping[str, Any]
"""A turn of a conversation as chat templates read it: role, content, and what tools need."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is read, how the answer is drawn, and which draw of it this is.

    One of `messages`, `text` and `token_ids` is given. Neither the model nor the endpoint is part of it:
    they are the teacher's.

    Attributes:
        messages: turns of a conversation that the teacher goes on with.
        text: that it continues as it is, without a chat template.
        token_ids: the same, in its own tokens.
        max_tokens: that are written at most, thoughts included.
        temperature: of sampling; 0: greedy.
        top_p: of sampling.
        stop: strings that end the answer; they are not part of it.
        seed: of the draw, if the teacher knows seeds; with `sample` it makes one of its own.
        sample: which draw of the same question, from 0. It is part of what is kept, so asking for five after
            three asks for two.
        logprobs: how many of the likeliest tokens come with each token; None: no log-probabilities.
        prompt_logprobs: the same for the tokens of the prompt.
        schema: JSON schema that the answer must fit; the reply then has `parsed`.
        tools: functions that the teacher may call, as chat templates read them.
        effort: how much it should think, where the teacher knows such a setting.
        extra: further fields of the call, as the server names them.
    """

    messages: tuple[Turn, ...] = ()
    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    max_tokens: int = 256
    temperature: float = 1.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    seed: int | None = None
    sample: int = 0
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    schema: Mapping[str, Any] | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    effort: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
