"""Finds out what an endpoint really does: by calls of a few tokens whose answers, not status, are checked."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed, Usage
from limbeck.core.errors import UserError
from limbeck.endpoint.capabilities import Capabilities
from limbeck.endpoint.settings import Timeouts
from limbeck.endpoint.structured import TIERS, Unfit, read, strict_json
from limbeck.endpoint.transports.openai import OpenAIManyTransport

ATTEMPTS = 4
"""Of one call, where the server is busy or wants a field put otherwise."""

CANDIDATES = (1000, 20, 5, 1)
"""How many candidates are asked for, until a number is taken. Hosted APIs give 20 and fewer."""

WORDS = 8
"""Tokens of a draw: enough for two draws to differ."""

JSON_TOKENS = 64
THOUGHT_TOKENS = 2048
"""Tokens of an answer in JSON, and of one that is thought about before."""

SCHEMA = {
    "type": "object",
    "properties": {"zq": {"enum": [7]}},
    "required": ["zq"],
    "additionalProperties": False,
}
"""Nobody answers with {"zq": 7} unless made to."""

_HELLO = ({"role": "user", "content": "Say hello."},)
_DRAW = ({"role": "user", "content": "Write a sentence about anything."},)
_NO_JSON = ({"role": "user", "content": "Say hello in plain words, not as JSON."},)
_TEXT = "The following is a list of words:"

_SERVERS = {"llamacpp": "llama.cpp", "vllm": "vllm", "sglang": "sglang"}


async def probe(
    transport: OpenAIManyTransport, *, timeouts: Timeouts | None = None, patience: float = 0.5
) -> tuple[Capabilities, Usage]:
    """Asks an endpoint some twenty small questions.

    Args:
        transport: to it.
        timeouts: of each call.
        patience: seconds before a busy server is asked again, doubled each time.

    Returns:
        What it can do, and the tokens that it took to find out.

    Raises:
        UserError: it cannot be asked at all: the key is wrong, the model unknown, nobody is there.
    """
    asking = _Asking(transport, timeouts or Timeouts(), patience)
    found = await _models(asking)
    found = await _first_words(asking, found)
    for step in (_draws, _several, _chat_scores, _text_scores, _prompt_scores, _token_ids, _schema):
        found = await step(asking, found)
    found = replace(
        found,
        limit=transport.dialect.limit,
        without=tuple(sorted(transport.dialect.without)),
        calls=asking.calls,
        notes=(*found.notes, *_notes(found)),
    )
    return found, asking.usage


class _Asking:
    """Makes calls, tries again where that may help, and counts."""

    def __init__(self, transport: OpenAIManyTransport, timeouts: Timeouts, patience: float) -> None:
        self.transport, self._timeouts, self._patience = transport, timeouts, patience
        self.calls, self.usage = 0, Usage()

    async def one(self, request: Request, *, seed: int | None = None) -> Reply | Failure:
        """The answer, or why there is none."""
        told = await self.several(request, seeds=[seed])
        return told if isinstance(told, Failure) else told[0]

    async def several(self, request: Request, *, seeds: list[int | None]) -> list[Reply] | Failure:
        """Answers of one call."""
        failure = None
        for attempt in range(ATTEMPTS):
            self.calls += 1
            try:
                answers = await self.transport.send_many(request, seeds=seeds, timeouts=self._timeouts)
            except RequestFailed as failed:
                failure = failed.failure
            else:
                for answer in answers:
                    self.usage = _sum(self.usage, answer.reply.usage)
                return [answer.reply for answer in answers]
            if failure.kind is FailureClass.QUOTA or failure.reason == "connect":
                raise _refused(failure)
            if failure.kind not in (FailureClass.TRANSIENT, FailureClass.RATE):
                return failure
            wait = failure.retry_after
            if attempt < ATTEMPTS - 1:
                await asyncio.sleep(self._patience * 2**attempt if wait is None else wait)
        assert failure is not None
        return failure

    async def get(self, path: str) -> Any:
        """What is at a path; None where nothing is."""
        self.calls += 1
        try:
            return await self.transport.get(path, timeouts=self._timeouts)
        except RequestFailed as failed:
            if failed.failure.reason in ("key", "insufficient_quota", "connect"):
                raise _refused(failed.failure) from None
            return None


def _refused(failure: Failure) -> UserError:
    return UserError(
        f"the endpoint must take calls, got: {failure.message} Check its URL, the model's name and the key's "
        "environment variable."
    )


async def _models(asking: _Asking) -> Capabilities:
    told = await asking.get("/models")
    listed = [model for model in _mappings(told, "data") if model.get("id")]
    names = tuple(str(model["id"]) for model in listed)
    owner = str(listed[0].get("owned_by", "")) if listed else ""
    sizes = [
        size
        for model in listed
        for size in (model.get("max_model_len"), _mapping(model.get("meta")).get("n_ctx"))
        if isinstance(size, int)
    ]
    return Capabilities(server=_SERVERS.get(owner, ""), models=names, context=min(sizes, default=None))


async def _first_words(asking: _Asking, found: Capabilities) -> Capabilities:
    """Which of the two forms there are, whether tokens are counted, whether a temperature is taken."""
    chat = await asking.one(Request(messages=_HELLO, max_tokens=1))
    text = await asking.one(Request(text=_TEXT, max_tokens=1))
    if isinstance(chat, Failure) and isinstance(text, Failure):
        raise _refused(chat)
    why = dict(found.why)
    for name, told in (("chat", chat), ("completions", text)):
        if isinstance(told, Failure):
            why[name] = told.message
    first = text if isinstance(chat, Failure) else chat
    assert isinstance(first, Reply)
    cold = await asking.one(replace(_question(found, chat, _HELLO, 1), temperature=0.5))
    if isinstance(cold, Failure):
        why["temperature"] = cold.message
    return replace(
        found,
        chat=isinstance(chat, Reply),
        completions=isinstance(text, Reply),
        usage=not first.usage.estimated,
        temperature=isinstance(cold, Reply),
        thoughts="field" if first.reasoning is not None else "hidden" if first.hidden_reasoning else None,
        why=why,
    )


def _question(found: Capabilities, chat: object, messages: tuple[Any, ...], most: int) -> Request:
    """A question in the form that there is."""
    if found.chat or isinstance(chat, Reply):
        return Request(messages=messages, max_tokens=most)
    return Request(text=_TEXT, max_tokens=most)


async def _draws(asking: _Asking, found: Capabilities) -> Capabilities:
    """Draws with one seed twice and with two others."""
    question = _question(found, None, _DRAW, THOUGHT_TOKENS if found.thoughts else WORDS)
    told = [await asking.one(question, seed=seed) for seed in (1, 1, 2, 3)]
    texts = [(reply.reasoning, reply.text) for reply in told if isinstance(reply, Reply)]
    if len(texts) < len(told) or "seed" in asking.transport.dialect.without:
        failure = next((reply.message for reply in told if isinstance(reply, Failure)), "seed is refused")
        return replace(found, seed=False, why={**found.why, "seed": failure})
    if len(set(texts)) == 1:
        note = "four draws at temperature 1 with three seeds were equal: is anything drawn at all?"
        return replace(found, notes=(*found.notes, note), why={**found.why, "seed": "all draws were equal"})
    same = texts[0] == texts[1]
    why = {} if same else {"seed": "one seed drew two answers: it is ignored"}
    return replace(found, seed=same, why={**found.why, **why})


async def _several(asking: _Asking, found: Capabilities) -> Capabilities:
    told = await asking.several(_question(found, None, _HELLO, 1), seeds=[None, None])
    if isinstance(told, Failure):
        said = told.message if told.reason != "few_choices" else "n is ignored: one choice came"
        return replace(found, why={**found.why, "n": said})
    return replace(found, n=True)


async def _chat_scores(asking: _Asking, found: Capabilities) -> Capabilities:
    if not found.chat:
        return found
    count, why = await _scores(asking, Request(messages=_HELLO, max_tokens=4))
    return replace(found, logprobs=count, why={**found.why, **({"logprobs": why} if why else {})})


async def _text_scores(asking: _Asking, found: Capabilities) -> Capabilities:
    if not found.completions:
        return found
    count, why = await _scores(asking, Request(text=_TEXT, max_tokens=4))
    said = {"completion_logprobs": why} if why else {}
    return replace(found, completion_logprobs=count, why={**found.why, **said})


async def _scores(asking: _Asking, request: Request) -> tuple[int | None, str]:
    """Most candidates that come with a token.

    Four tokens are asked for, as llama.cpp leaves log-probabilities out where an answer of one ends within a
    character.
    """
    said = ""
    for most in CANDIDATES:
        told = await asking.one(replace(request, logprobs=most))
        if isinstance(told, Failure):
            said = told.message
            continue
        if not told.scores:
            return None, "logprobs are ignored: none came"
        count = max(len(position.top) for position in told.scores)
        return count, "" if count >= most else f"{count} came where {most} were asked for"
    return None, said


async def _prompt_scores(asking: _Asking, found: Capabilities) -> Capabilities:
    if not found.completions:
        return found
    told = await asking.one(Request(text=_TEXT, max_tokens=1, prompt_logprobs=1))
    if isinstance(told, Failure):
        return replace(found, why={**found.why, "prompt_logprobs": told.message})
    if not told.prompt_scores:
        return replace(found, why={**found.why, "prompt_logprobs": "prompt_logprobs are ignored: none came"})
    return replace(found, prompt_logprobs=max(len(position.top) for position in told.prompt_scores))


async def _token_ids(asking: _Asking, found: Capabilities) -> Capabilities:
    if not found.completions:
        return found
    ids = (5, 6, 7, 8, 9)
    told = await asking.one(Request(token_ids=ids, max_tokens=1))
    if isinstance(told, Failure):
        return replace(found, why={**found.why, "token_ids": told.message})
    if found.usage and told.usage.prompt != len(ids):
        said = f"{len(ids)} ids were read as {told.usage.prompt} tokens"
        return replace(found, why={**found.why, "token_ids": said})
    return replace(found, token_ids=True)


async def _schema(asking: _Asking, found: Capabilities) -> Capabilities:
    """The strongest tier by which a schema holds that no answer would fit by chance."""
    if not found.chat:
        return found
    dialect, said = asking.transport.dialect, "no way of asking for a schema held"
    most = THOUGHT_TOKENS if found.thoughts else JSON_TOKENS
    for tier in TIERS[:-1]:
        dialect.tier = tier
        messages = _NO_JSON if tier == "json_object" else _HELLO
        # The object alone says nothing of the schema, which is said in words: those are left out here.
        asked = Request(messages=messages, max_tokens=most, schema=None if tier == "json_object" else SCHEMA)
        if tier == "json_object":
            asked = replace(asked, extra={"response_format": {"type": "json_object"}})
        told = await asking.one(asked)
        if dialect.tier == tier and isinstance(told, Reply) and _holds(told, tier):
            return replace(found, tier=tier)
        said = told.message if isinstance(told, Failure) else "response_format is ignored"
    dialect.tier = TIERS[-1]
    return replace(found, tier=TIERS[-1], why={**found.why, "schema": said})


def _holds(reply: Reply, tier: str) -> bool:
    if tier != "json_object":
        try:
            return read(reply.text, SCHEMA, lenient=False).value == {"zq": 7}
        except Unfit:
            return False
    if reply.finish == "length":
        return reply.text.lstrip().startswith("{")
    try:
        return isinstance(strict_json(reply.text), dict)
    except ValueError:
        return False


def _notes(found: Capabilities) -> list[str]:
    notes = []
    if found.server == "llama.cpp":
        notes.append(
            "llama.cpp samples with top_k 40 and min_p 0.05 unless told otherwise: set extra.top_k=0 and "
            "extra.min_p=0 for the model's own distribution"
        )
    if found.server == "vllm":
        notes.append(
            "vLLM takes top_k, top_p and more from the model's generation_config.json unless told otherwise: "
            "set extra.top_k=-1 for the model's own distribution"
        )
    if found.thoughts == "hidden":
        notes.append("its thoughts are hidden: they are paid for, and cannot be learnt from")
    return notes


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        prompt=one.prompt + other.prompt,
        cached=one.cached + other.cached,
        completion=one.completion + other.completion,
        reasoning=one.reasoning + other.reasoning,
        estimated=one.estimated or other.estimated,
        stored=one.stored + other.stored,
    )


def _mapping(told: Any) -> Mapping[str, Any]:
    return told if isinstance(told, Mapping) else {}


def _mappings(told: Any, name: str) -> list[Mapping[str, Any]]:
    listed = _mapping(told).get(name)
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
