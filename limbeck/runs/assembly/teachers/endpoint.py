"""A teacher behind a wire: how it is asked, one request at a time."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from limbeck.core.asking import Failure, FailureClass, Request, RequestFailed
from limbeck.core.errors import ConfigError, LimbeckError, Problem, UserError
from limbeck.core.models import load_tokenizer
from limbeck.core.template import TemplateError
from limbeck.core.token_bytes import token_bytes
from limbeck.endpoint import Budget, Endpoint, Timeouts, Transport
from limbeck.endpoint.capabilities import needs_of, require
from limbeck.endpoint.prices import read_prices
from limbeck.endpoint.secret import read_secret
from limbeck.recipes.teachers import EndpointTeacher
from limbeck.rows.chat import chat_prompt
from limbeck.runs.assembly.estimates import estimate
from limbeck.runs.assembly.journals import journal_of
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look

_TOKENIZERS = 4  # that are kept


def check_asked(at: Look, teacher: EndpointTeacher, path: str) -> None:
    """Refuse a key that is not set, prices that cannot be read, and a tokenizer that is none."""
    problems = []
    for name, look in (
        ("api_key_env", lambda: read_secret(teacher.api_key_env)),
        ("prices", lambda: settings_of(teacher)),
        ("tokenizer", lambda: None if teacher.tokenizer is None else _tokenizer(teacher.tokenizer)),
    ):
        try:
            look()
        except UserError as error:
            problems += [Problem(f"{path}.{name}", one.message) for one in error.problems]
    if problems:
        raise ConfigError(problems)


def endpoint_of(teacher: EndpointTeacher, work: StepContext) -> Endpoint:
    """As the recipe says."""
    return settings_of(teacher)


def settings_of(teacher: EndpointTeacher) -> Endpoint:
    """What the request engine is to know, with the prices that were read.

    Raises:
        ConfigError: the price table cannot be read.
    """
    idle = {} if teacher.idle_timeout is None else {"idle": teacher.idle_timeout}
    return Endpoint(
        url=teacher.endpoint,
        model=teacher.model,
        label=teacher.label,
        api="anthropic" if teacher.api == "anthropic" else "openai",
        api_key_env=teacher.api_key_env,
        workers=teacher.workers,
        requests_per_minute=teacher.requests_per_minute,
        tokens_per_minute=teacher.tokens_per_minute,
        budget=Budget.model_validate(teacher.budget.model_dump()),
        prices=() if teacher.prices is None else read_prices(Path(teacher.prices).expanduser()),
        timeouts=Timeouts(first=teacher.timeout, **idle),
        stream=teacher.idle_timeout is not None,
        context=teacher.context,
        batch=teacher.batch,
        journal=None if teacher.journal is None else Path(teacher.journal),
        durability=teacher.durability,
        terms=teacher.terms,
    )


def transport_of(teacher: EndpointTeacher, work: StepContext) -> Transport:
    """A client of the API."""
    from limbeck.endpoint.known import known
    from limbeck.endpoint.transports.making import make_transport  # clients take a second to import

    vocabulary = None if teacher.tokenizer is None else token_bytes(_tokenizer(teacher.tokenizer))
    asked = settings_of(teacher)
    journal = journal_of(asked, work.run.path)
    return make_transport(
        asked,
        known(asked, journal),
        journal=journal,
        vocabulary=vocabulary,
        count_tokens=counter_of(teacher),
    )


def request_of(teacher: EndpointTeacher, request: Request) -> Request:
    """With the teacher's effort and further fields, and as text where it is to read no turns.

    Raises:
        RequestFailed: the chat template refuses the turns.
    """
    if teacher.effort is not None and request.effort is None:
        request = replace(request, effort=teacher.effort)
    if teacher.extra:
        request = replace(request, extra={**teacher.extra, **request.extra})
    if teacher.api == "completions" and request.messages:
        return replace(request, messages=(), text=_as_text(teacher, request), tools=())
    return request


def check_requests(at: Look, teacher: EndpointTeacher, requests: Sequence[Request], path: str) -> None:
    """Refuse, where the endpoint was probed, what it did not do; say that a schema is asked for in words."""
    from limbeck.endpoint.known import known

    asked = settings_of(teacher)
    found = known(asked, journal_of(asked, _run_of(at)))
    if found is None:
        return
    require(found, needs_of(requests), where=path)
    if found.amount("schema") < 0 and any(one.schema is not None for one in requests):
        at.note(
            f"{teacher.called} holds no answer to a JSON schema: it is asked for in words, and an answer "
            "that does not fit is asked for again, twice at most."
        )


def said_of_cost(at: Look, teacher: EndpointTeacher, requests: Sequence[Request], calls: int) -> list[str]:
    """Calls, tokens and money, what is kept already, and whether the budget is enough."""
    asked = settings_of(teacher)
    journal = journal_of(asked, _run_of(at))
    return list(estimate(asked, requests, calls=calls, journal=journal, count=counter_of(teacher)).said())


def _run_of(at: Look) -> Path:
    return at.seen.run or Path("runs/run")


def counter_of(teacher: EndpointTeacher) -> Callable[[Request], int] | None:
    """Tokens of a prompt by the teacher's tokenizer; None where it is not at hand."""
    if teacher.tokenizer is None:
        return None
    tokenizer = _tokenizer(teacher.tokenizer)

    def count(request: Request) -> int:
        if request.token_ids is not None:
            return len(request.token_ids)
        text = _as_text(teacher, request) if request.messages else request.text or ""
        return len(tokenizer(text).input_ids)

    return count


def _as_text(teacher: EndpointTeacher, request: Request) -> str:
    """Turns as the chat template of its tokenizer writes them; without one, plainly."""
    if teacher.tokenizer is None:
        message = (
            "must be named for api: completions, got none: conversations are written as text by its chat "
            "template. Name the folder of the model's tokenizer, or let the server do it with api: openai."
        )
        raise ConfigError(Problem("tokenizer", message))
    tokenizer = _tokenizer(teacher.tokenizer)
    tools = json.dumps(list(request.tools), ensure_ascii=False) if request.tools else None
    try:
        segments = chat_prompt([dict(turn) for turn in request.messages], tokenizer, tools=tools)
    except TemplateError as error:
        failure = Failure(FailureClass.PERMANENT, "template", f"{error}. {error.advice}")
        raise RequestFailed(failure) from None
    except LimbeckError as error:
        raise RequestFailed(Failure(FailureClass.PERMANENT, "template", str(error))) from None
    text = "".join(segment.text for segment in segments)
    begin = tokenizer.bos_token or ""
    # The server begins every text with this token, as the tokenizer itself does.
    return text.removeprefix(begin) if begin and tokenizer("").input_ids else text


@lru_cache(maxsize=_TOKENIZERS)
def _tokenizer(word: str) -> Any:
    return load_tokenizer(word)
