"""Under which name an answer is kept: a hash of everything that it depends on, and of nothing else."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
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
    # Written out, names in order: millions of keys are made when a run is started again.
    text = (
        f'{{"effort":{_json(request.effort)},"extra":{_json(request.extra)},"label":{_json(label)},'
        f'"logprobs":{_json(request.logprobs)},"max_tokens":{_json(request.max_tokens)},'
        f'"messages":{_messages(request.messages)},"model":{_json(model)},'
        f'"prompt_logprobs":{_json(request.prompt_logprobs)},"sample":{_json(request.sample)},'
        f'"schema":{_json(request.schema)},"seed":{_json(request.seed)},"stop":{_json(request.stop)},'
        f'"temperature":{_json(request.temperature)},"text":{_json(request.text)},'
        f'"token_ids":{_json(request.token_ids)},"tools":{_json(request.tools)},'
        f'"top_p":{_json(request.top_p)},"v":{VERSION}}}'
    )
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


_text = json.encoder.encode_basestring
_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json(value: Any) -> str:
    kind = type(value)
    if value is None:
        return "null"
    if kind is str:
        return _text(value)
    if kind is int:
        return str(value)
    if kind is float:
        return repr(_number(value))
    if kind is tuple and not value:
        return "[]"
    if kind is dict and not value:
        return "{}"
    return _JSON.encode(_plain(value))


def _messages(messages: Sequence[Mapping[str, Any]]) -> str:
    return f"[{','.join([_turn(message) for message in messages])}]"


def _turn(message: Mapping[str, Any]) -> str:
    for name, value in message.items():
        if type(value) is not str or type(name) is not str:
            return _JSON.encode(_plain(with_hashes(message)))
    return f"{{{','.join([f'{_text(name)}:{_text(value)}' for name, value in sorted(message.items())])}}}"


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return {_name(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, str | int):  # of a subclass, such as an enumeration
        return value
    raise ConfigError(f"a request must hold what JSON knows, got {kind.__name__}.")


def _number(value: float) -> float | int:
    if not math.isfinite(value):
        raise ConfigError(f"a request must hold finite numbers, got {value}.")
    return int(value) if value.is_integer() and abs(value) < _EXACT else float(value)


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise ConfigError(f"names in a request must be text, got {name!r}.")
    return name
