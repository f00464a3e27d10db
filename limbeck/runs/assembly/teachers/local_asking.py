"""A model as a teacher that is asked: through the request engine, by a transport in this process."""

from collections.abc import Callable, Sequence
from pathlib import Path

from limbeck.core.asking import Request
from limbeck.core.errors import ModelError, Problem
from limbeck.core.fingerprint import fingerprint
from limbeck.core.kinds import kind_named, kinds_that
from limbeck.core.model_words import model_word
from limbeck.core.models import model_fingerprint, read_config
from limbeck.core.positions import positions_of
from limbeck.endpoint import Endpoint, Transport
from limbeck.endpoint.estimates import estimated_tokens
from limbeck.recipes.teachers import ModelTeacher
from limbeck.runs.assembly.teachers.local_transport import LocalTransport
from limbeck.runs.steps.context import StepContext
from limbeck.runs.steps.look import Look

# The engine wants a place for what it asks; nothing is reached under it.
_HERE = "http://localhost/in-this-process"
_WORKERS = 64  # requests that may share batches


def check_asked(at: Look, teacher: ModelTeacher, path: str) -> None:
    """Refuse a model that cannot write."""
    shape = at.info(teacher.model, f"{path}.model")
    if shape is not None and (shape.kind is None or not kind_named(shape.kind).writes):
        got = shape.kind or "another"
        raise ModelError(
            Problem(f"{path}.model", f"must be a {kinds_that('writes')} model to write, got {got}.")
        )


def endpoint_of(teacher: ModelTeacher, work: StepContext) -> Endpoint:
    """Its answers are those of its weights, wherever these lie."""
    place = work.model_place(teacher.model)
    read = model_word(place)
    weights = fingerprint({"weights": model_fingerprint(place), "dtype": read.dtype})
    name = Path(model_word(teacher.model).place).name
    return Endpoint(url=_HERE, model=name, label=weights, workers=_WORKERS)


def transport_of(teacher: ModelTeacher, work: StepContext) -> Transport:
    """The model, loaded with the first request."""
    kind = work.kind("auto", teacher.model)
    return LocalTransport(
        lambda: work.load_model(teacher.model, kind),
        work.load_tokenizer(teacher.model),
        kind,
        positions=positions_of(read_config(work.model_place(teacher.model))),
    )


def request_of(teacher: ModelTeacher, request: Request) -> Request:
    """As it is."""
    return request


def counter_of(teacher: ModelTeacher) -> Callable[[Request], int] | None:
    """Nothing is limited by it."""
    return None


def check_requests(at: Look, teacher: ModelTeacher, requests: Sequence[Request], path: str) -> None:
    """It does all that is asked here."""


def said_of_cost(at: Look, teacher: ModelTeacher, requests: Sequence[Request], calls: int) -> list[str]:
    """Tokens alone: it costs time."""
    each = max(len(requests), 1)
    read = calls * sum(map(estimated_tokens, requests)) / each
    written = calls * sum(one.max_tokens for one in requests) / each
    return [
        f"About {calls:,} requests to {teacher.called} in this process: {read:,.0f} tokens read, at most "
        f"{written:,.0f} written."
    ]
