"""Chat templates are programs of strangers: run with a limit on time and size, and on a day that is given."""

import ctypes
import datetime
import json
import resource
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Messages = Sequence[Mapping[str, Any]]

MOST_SECONDS = 10.0
"""That a template may take for one conversation; official ones take a few milliseconds."""

_MOST_BYTES = 2 << 30  # of memory beyond what there was before
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
        with _limited():
            text = str(
                tokenizer.apply_chat_template(
                    list(turns),
                    tools=functions,
                    tokenize=False,
                    add_generation_prompt=add_generation_prompt,
                )
            )
    except _TooLong:
        raise ModelError(_endless(f"needed more than {MOST_SECONDS:g} s")) from None
    except MemoryError:
        raise ModelError(_endless(f"needed more than {_MOST_BYTES >> 30} GB")) from None
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


class _TooLong(BaseException):
    """Thrown into a template that does not end; not an Exception, which a template's code could catch."""


class _Watch:
    """A thread that throws `_TooLong` into another one that has not left a template in time.

    One thread watches all templates: to start one for each takes longer than most of them.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ends: dict[int, float] = {}  # thread -> when it must have left
        self.thrown: set[int] = set()
        self.thread: threading.Thread | None = None

    def enter(self) -> None:
        """This thread runs a template now."""
        with self.lock:
            self.ends[threading.get_ident()] = time.monotonic() + MOST_SECONDS
            if self.thread is None or not self.thread.is_alive():
                self.thread = threading.Thread(target=self._look, name="templates", daemon=True)
                self.thread.start()

    def leave(self) -> None:
        """It has ended; what was thrown and has not arrived is taken back."""
        me = threading.get_ident()
        with self.lock:
            self.ends.pop(me, None)
            if me in self.thrown:
                self.thrown.discard(me)
                _raise_in(me, None)

    def _look(self) -> None:
        idle = 0.0
        while idle < _IDLE_SECONDS:
            pause = min(_LONGEST_PAUSE, MOST_SECONDS / 4)
            time.sleep(pause)
            with self.lock:
                idle = 0.0 if self.ends else idle + pause
                now = time.monotonic()
                for thread in [one for one, end in self.ends.items() if end < now]:
                    del self.ends[thread]
                    self.thrown.add(thread)
                    _raise_in(thread, _TooLong)
                if idle >= _IDLE_SECONDS:
                    self.thread = None


_IDLE_SECONDS, _LONGEST_PAUSE = 5.0, 0.25
_WATCH = _Watch()


@contextmanager
def _limited() -> Iterator[None]:
    """Limit what is done inside in time and memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        _WATCH.enter()
        resource.setrlimit(resource.RLIMIT_AS, (_allowed(soft, hard), hard))
        yield
        _WATCH.leave()
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        _WATCH.leave()


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Let an exception happen in a thread; None takes back one that has not happened yet."""
    wanted = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), wanted)


def _allowed(soft: int, hard: int) -> int:
    """Bytes of address space that this process may have."""
    held = _held(int(time.monotonic() / _LONGEST_PAUSE))
    if held is None:  # another system: only time is limited there
        return soft
    return min([held + _MOST_BYTES, *(one for one in (soft, hard) if one != resource.RLIM_INFINITY)])


@lru_cache(maxsize=1)
def _held(moment: int) -> int | None:
    """Bytes of address space of this process; looked at once a `moment`, as it takes a tenth of a ms."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()
