"""Calls and answers in OpenAI's form, chat and plain completions, as many servers speak it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, ToolCall, Usage
from limbeck.core.asking.reply import Finish
from limbeck.core.errors import ConfigError
from limbeck.endpoint.logprobs import MalformedScores, Vocabulary, prompt_scores, written_scores
from limbeck.endpoint.reasoning import FIELDS, thoughts_of_message
from limbeck.endpoint.structured import asked_by
from limbeck.endpoint.transports.dialect import Dialect
from limbeck.endpoint.transports.failures import malformed
from limbeck.endpoint.transports.images import with_data_urls

FINISHES: Mapping[str, Finish] = {
    "stop": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "abort": "interrupted",
    "interrupted": "interrupted",
}
"""Why an answer ended, in the words of OpenAI and of servers in its form."""


def path_of(request: Request) -> str:
    """Where a request goes, below the base URL."""
    return "/chat/completions" if request.messages else "/completions"


def body_of(
    request: Request, *, model: str, dialect: Dialect, seed: int | None, n: int = 1, stream: bool = False
) -> dict[str, Any]:
    """The JSON of a call.

    Temperature and top_p are always sent, as servers have defaults of their own. Thoughts of earlier turns
    are not sent back, except those of a turn that called tools, which servers want to see.

    Args:
        request: what is asked; `seed` and `sample` of it are not sent.
        model: as the server names it.
        dialect: how this server wants it put.
        seed: that is sent.
        n: answers that are drawn at once.
        stream: in pieces.

    Raises:
        ConfigError: `extra` names a field that the request has otherwise.
    """
    held: dict[str, Any] = {}
    if request.schema is not None:
        request, held = asked_by(request, dialect.tier)
    body: dict[str, Any] = {
        "model": model,
        **(_chat(request, dialect) if request.messages else _plain(request, dialect)),
        dialect.limit if request.messages else "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        **held,
    }
    if request.stop:
        body["stop"] = list(request.stop)
    if seed is not None:
        body["seed"] = seed
    if n > 1:
        body["n"] = n
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.prompt_logprobs is not None:
        body |= {"prompt_logprobs": request.prompt_logprobs, "return_token_ids": True}
    if dialect.ids_in_scores and (request.logprobs is not None):
        body["return_tokens_as_token_ids"] = True
    for name in dialect.without:
        body.pop(name, None)
    twice = sorted(set(body) & set(request.extra))
    if twice:
        raise ConfigError(
            f"extra must hold fields that have no setting of their own, got {', '.join(twice)}."
        )
    return body | dict(request.extra)


def replies_of(body: Any, request: Request, *, vocabulary: Vocabulary | None = None) -> tuple[Reply, ...]:
    """All answers of one call, by their index.

    Usage is that of the call: the prompt is counted with the first answer alone, what was written is
    shared out by length.

    Raises:
        RequestFailed: MALFORMED without choices, or a choice without content; PERMANENT where all of an
            answer was filtered; SEMANTIC where the model refused.
    """
    if not isinstance(body, Mapping):
        raise malformed("not_json", f"the answer must be a JSON object, got {type(body).__name__}.")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise malformed("no_choices", "the answer must have at least one of choices, got none.")
    choices = sorted(choices, key=lambda choice: choice.get("index") or 0)
    usage = usage_of(body.get("usage"))
    texts = [_reply(body, choice, request, usage, vocabulary) for choice in choices]
    if len(texts) == 1:
        return tuple(texts)
    shares = _shared(usage, [len(reply.text) + len(reply.reasoning or "") for reply in texts])
    return tuple(replace(reply, usage=share) for reply, share in zip(texts, shares, strict=True))


def usage_of(told: Any) -> Usage:
    """Tokens of a call, by what OpenAI, DeepSeek and others call them; `estimated` where nothing is told."""
    if not isinstance(told, Mapping) or told.get("prompt_tokens") is None:
        return Usage(estimated=True)
    read = told.get("prompt_tokens_details") or {}
    written = told.get("completion_tokens_details") or {}
    return Usage(
        prompt=int(told["prompt_tokens"]),
        cached=int(read.get("cached_tokens") or told.get("prompt_cache_hit_tokens") or 0),
        completion=int(told.get("completion_tokens") or 0),
        reasoning=int(written.get("reasoning_tokens") or told.get("reasoning_tokens") or 0),
    )


def _chat(request: Request, dialect: Dialect) -> dict[str, Any]:
    fields: dict[str, Any] = {"messages": [_turn(turn) for turn in with_data_urls(request.messages)]}
    if request.logprobs is not None:
        fields |= {"logprobs": True, "top_logprobs": request.logprobs}
    if request.tools:
        fields["tools"] = [dict(tool) for tool in request.tools]
    if request.effort is not None:
        fields["reasoning_effort"] = request.effort
    return fields


def _plain(request: Request, dialect: Dialect) -> dict[str, Any]:
    if request.tools or request.effort is not None:
        raise ConfigError("tools and effort must come with messages, got a text. Ask by messages instead.")
    prompt = list(request.token_ids) if request.token_ids is not None else request.text
    fields: dict[str, Any] = {"prompt": prompt}
    if request.logprobs is not None:
        fields["logprobs"] = request.logprobs
    return fields


def _turn(turn: dict[str, Any]) -> dict[str, Any]:
    return turn if turn.get("tool_calls") else {k: v for k, v in turn.items() if k not in FIELDS}


def _reply(
    body: Mapping[str, Any],
    choice: Mapping[str, Any],
    request: Request,
    usage: Usage,
    vocabulary: Vocabulary | None,
) -> Reply:
    told = choice.get("finish_reason")
    finish: Finish = FINISHES.get(str(told), "unknown")
    message = choice.get("message")
    if message is None:
        message = {"content": choice.get("text")}
    calls = _calls(message)
    thought = thoughts_of_message(message, reasoning_tokens=usage.reasoning, tags=bool(request.messages))
    if message.get("refusal"):
        raise RequestFailed(Failure(FailureClass.SEMANTIC, "refusal", str(message["refusal"])))
    if finish == "content_filter" and not thought.text:
        raise RequestFailed(
            Failure(FailureClass.PERMANENT, "content_filter", "the server withheld the whole answer.")
        )
    # Thoughts that used up all tokens leave no content, and that is an answer that was cut.
    if message.get("content") is None and not calls and thought.reasoning is None and finish != "length":
        raise malformed("no_content", f"a choice must have content, got null (finish_reason {told}).")
    try:
        scores = written_scores(choice, k=request.logprobs, vocabulary=vocabulary)
        read = prompt_scores(body, choice, k=request.prompt_logprobs, vocabulary=vocabulary)
    except (MalformedScores, KeyError, TypeError, ValueError) as error:
        raise malformed("logprobs", f"log-probabilities must be in a known shape: {error}.") from None
    return Reply(
        text=thought.text,
        finish="tool_calls" if calls and finish in ("stop", "unknown") else finish,
        reasoning=thought.reasoning,
        hidden_reasoning=thought.hidden,
        tool_calls=calls,
        usage=usage,
        scores=scores,
        prompt_scores=read,
        served_model=str(body.get("model") or ""),
    )


def _calls(message: Mapping[str, Any]) -> tuple[ToolCall, ...]:
    told = message.get("tool_calls") or ()
    found = []
    for call in told:
        function = call.get("function") or {}
        found.append(
            ToolCall(
                str(function.get("name") or ""), str(function.get("arguments") or ""), call.get("id") or ""
            )
        )
    return tuple(found)


def _shared(usage: Usage, lengths: Sequence[int]) -> list[Usage]:
    """The usage of one call as that of its answers; sums stay."""
    whole = sum(lengths) or len(lengths)
    weights = lengths if sum(lengths) else [1] * len(lengths)

    def parts(total: int) -> list[int]:
        ends = [total * sum(weights[: place + 1]) // whole for place in range(len(weights))]
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    shares = zip(parts(usage.completion), parts(usage.reasoning), strict=True)
    return [
        Usage(
            prompt=0 if place else usage.prompt,
            cached=0 if place else usage.cached,
            completion=completion,
            reasoning=reasoning,
            estimated=usage.estimated,
        )
        for place, (completion, reasoning) in enumerate(shares)
    ]
