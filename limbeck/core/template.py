"""Chat templates are programs of strangers: run with a limit on time and size, and on a day that is given."""

import datetime
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from limbeck.core import limited
from limbeck.core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, Any]]

_LONGEST = 1 << 20  # characters beyond the length of the conversation ...
_TIMES = 50  # ... and times that length
_DAY: ContextVar[datetime.date | None] = ContextVar("day", default=None)


class TemplateError(ValueError):
    """A conversation cannot be rendered.

    Attributes:
        advice: what would help.
    """

    def __init__(self, message: str, advice: str) -> None:
        self.advice = advice
        super().__init__(message)


@contextmanager
def dated(day: datetime.date) -> Iterator[None]:
    """Inside, templates that write the date of today write this one."""
    token = _DAY.set(day)
    try:
        yield
    finally:
        _DAY.reset(token)


def today() -> datetime.date:
    """The day it is."""
    return datetime.date.today()


def writes_date(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether the chat template asks for the date."""
    return "strftime_now" in str(tokenizer.chat_template)


def applied(
    turns: Messages,
    tokenizer: "PreTrainedTokenizerBase",
    tools: str | None = None,
    *,
    add_generation_prompt: bool = False,
) -> str:
    """The conversation as the tokenizer's chat template writes it.

    Raises:
        TemplateError: the template does not accept the conversation, or `tools` are no JSON.
        ModelError: the template takes too long, or writes too much, for any conversation.
    """
    functions = functions_of(tools) or None
    _freeze_date(tokenizer, functions)
    try:
        with limited.limited():
            text = str(
                tokenizer.apply_chat_template(
                    list(turns),
                    tools=functions,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                )
            )
    except limited.TooLong:
        raise ModelError(_endless(f"needed more than {limited.MOST_SECONDS:g} s")) from None
    except MemoryError:
        raise ModelError(_endless(f"needed more than {limited.MOST_BYTES >> 30} GB")) from None
    except Exception as error:  # templates are programs: jinja's errors, their own, or wrong types
        why = " ".join(str(error).split()) or type(error).__name__
        raise TemplateError(
            f"the chat template must accept the conversation, got its error: {why.rstrip('.')}",
            "Change these conversations so that it accepts them, take them out, or put another chat template "
            "into the model's folder (chat_template.jinja).",
        ) from error
    most = _LONGEST + _TIMES * sum(len(str(turn)) for turn in turns) + _TIMES * len(tools or "")
    if len(text) > most:
        raise ModelError(_endless(f"wrote {len(text):,} characters"))
    return text


def functions_of(tools: str | None) -> list[Any]:
    """The functions that the column `tools` describes; none where a row has no tools.

    Raises:
        TemplateError: it is no JSON list of them.
    """
    try:
        found = json.loads(tools or "null")
    except json.JSONDecodeError as error:
        raise TemplateError(
            f"tools must be a JSON list of functions, got {tools!r:.60}, which is no JSON ({error})",
            "Correct the column `tools`, or take it out.",
        ) from None
    found = [] if found is None else found if isinstance(found, list) else [found]
    if not all(isinstance(tool, dict) for tool in found):
        raise TemplateError(
            f"tools must be a JSON list of functions, got {tools!r:.60}",
            "Write each tool as an object with `name`, `description` and `parameters`.",
        )
    return found


def _endless(what: str) -> str:
    return (
        f"the chat template must end, got one that {what} for one conversation. "
        "Put another chat template into the model's folder (chat_template.jinja)."
    )


def _freeze_date(tokenizer: "PreTrainedTokenizerBase", functions: list[Any] | None) -> None:
    """Give the compiled template, which transformers keeps, its own `strftime_now`.

    Arguments of `apply_chat_template` cannot: transformers makes plain data of them.
    """
    if not writes_date(tokenizer):
        return
    from transformers.utils import chat_template_utils

    day = _DAY.get() or today()
    moment = datetime.datetime.combine(day, datetime.time())
    compiled = chat_template_utils._compile_jinja_template(tokenizer.get_chat_template(None, functions))
    compiled.environment.globals["strftime_now"] = moment.strftime
