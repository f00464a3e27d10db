"""Under which name an answer is kept: a hash of everything that it depends on, and of nothing else."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

from limbeck.core.asking import Request
from limbeck.core.errors import ConfigError
from limbeck.core.seeds import derived_seed
from limbeck.endpoint.media import with_hashes

VERSION = 1
"""Of the form below. Another one makes every answer that was paid for unfindable."""

_EXACT = 2**53  # whole floats below are the same as whole numbers


def canonical(request: Request, *, model: str, label: str = "") -> bytes:
    """A request to a teacher as JSON that is the same for the same question.

    Keys are sorted, nothing is left to a default, 1.0 is 1 and -0.0 is 0, and images stand by the hash of
    their bytes. Texts are never normalised: another byte is another question. Neither the URL nor its key,
    nor how long is waited, is part of it.

    Args:
        model: that answers, as the server names it.
        label: which weights these are, where the name does not say.

    Raises:
        ConfigError: the request holds NaN, an infinity, or what is not JSON.
    """
    if not isinstance(request.temperature, int | float) or not isinstance(request.top_p, int | float):
        raise ConfigError(
            f"temperature and top_p must be numbers, got {request.temperature!r}, {request.top_p!r}."
        )
    content = {
        "v": VERSION,
        "model": model,
        "label": label,
        "messages": _plain(with_hashes(request.messages)),
        "text": request.text,
        "token_ids": request.token_ids,
        "max_tokens": request.max_tokens,
        "temperature": _plain(request.temperature),
        "top_p": _plain(request.top_p),
        "stop": request.stop,
        "seed": request.seed,
        "sample": request.sample,
        "logprobs": request.logprobs,
        "prompt_logprobs": request.prompt_logprobs,
        "schema": _plain(request.schema),
        "tools": _plain(request.tools),
        "effort": request.effort,
        "extra": _plain(request.extra),
    }
    text = _JSON.encode(content)
    return text.encode("utf-8", "surrogatepass")


def key_of(content: bytes) -> str:
    """The key of a canonical request: its SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def request_key(request: Request, *, model: str, label: str = "") -> str:
    """The key under which the answer of a teacher is kept.

    Example:
        >>> from limbeck.core.asking import Request
        >>> plain = request_key(Request(text="Once"), model="m")
        >>> plain == request_key(Request(text="Once", temperature=1, sample=0), model="m")
        True
        >>> plain == request_key(Request(text="Once", sample=1), model="m")
        False
    """
    return key_of(canonical(request, model=model, label=label))


def sent_seed(request: Request, key: str) -> int | None:
    """The seed that a draw is sent with: another for each question and sample; None without a seed."""
    if request.seed is None:
        return None
    # 31 bits: the least that any server reads as a seed.
    return derived_seed(request.seed, key, request.sample) >> 32


_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ConfigError(f"a request must hold finite numbers, got {value}.")
        return int(value) if value.is_integer() and abs(value) < _EXACT else float(value)
    if isinstance(value, Mapping):
        return {_name(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, str | int):  # of a subclass, such as an enumeration
        return value
    raise ConfigError(f"a request must hold what JSON knows, got {kind.__name__}.")


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ConfigError(f"names in a request must be text, got {name!r}.")
    return name
