"""Length of an answer, alone or against another column."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from limbeck.core.errors import ConfigError
from limbeck.gates.reading import text_of
from limbeck.gates.verdict import ACCEPTED, Row, Verdict


def length(
    rows: Iterable[Row],
    *,
    min: float | None = None,
    max: float | None = None,
    unit: Literal["characters", "words", "tokens"] = "characters",
    column: str | None = None,
    relative_to: str | None = None,
    tokenizer: str | None = None,
) -> Iterator[Verdict]:
    """Let texts through whose length lies between two edges, both included.

    Args:
        rows: to judge, each alone.
        min: shortest that passes; none: no edge.
        max: longest that passes; none: no edge.
        unit: characters, words between blanks, or tokens.
        column: the text to measure; none: the row's answer.
        relative_to: a column; the score is then the length over the length of that column.
        tokenizer: folder or id of the tokenizer that counts tokens.

    Yields:
        score: the length in units, or the ratio; reasons `short` and `long`. A ratio to an empty text is
        `long` unless both are empty, when it is 1.

    Raises:
        ConfigError: no edge, edges that cross, or tokens without a tokenizer.

    Example:
        >>> rows = [{"question": "x" * 10, "answer": "y" * long} for long in (7, 8, 15, 16)]
        >>> [one.passed for one in length(rows, min=0.8, max=1.5, relative_to="question")]
        [False, True, True, False]

    Source:
        Inclusive edges on the ratio of characters as in jaehunjung1/impossible-distillation,
        `pipeline/filter.py:ConFilter.filter_length` (0.8 to 1.5 there).
    """
    if min is None and max is None:
        raise ConfigError("length must have min, max or both, got neither. Set an edge.")
    if min is not None and max is not None and min > max:
        raise ConfigError(f"min must be at most max, got min {min:g} and max {max:g}.")
    if unit == "tokens" and tokenizer is None:
        raise ConfigError("tokenizer must be given to count tokens, got none. Name a folder or an id.")
    measure = _measure(unit, tokenizer)
    for row in rows:
        size = measure(text_of(row, column))
        if relative_to is not None:
            yield _verdict_of_ratio(size, measure(text_of(row, relative_to)), min, max)
        else:
            yield _verdict(size, min, max)


def _verdict(score: float, low: float | None, high: float | None) -> Verdict:
    if low is not None and score < low:
        return Verdict(score, False, "short")
    if high is not None and score > high:
        return Verdict(score, False, "long")
    return Verdict(score, True, ACCEPTED)


def _verdict_of_ratio(size: int, other: int, low: float | None, high: float | None) -> Verdict:
    if other:
        return _verdict(size / other, low, high)
    return Verdict(None, False, "long", "the other text is empty") if size else _verdict(1.0, low, high)


def _measure(unit: str, tokenizer: str | None) -> Callable[[str], int]:
    if unit == "characters":
        return len
    if unit == "words":
        return lambda text: len(text.split())
    from limbeck.core.models import load_tokenizer

    encode: Any = load_tokenizer(str(tokenizer))
    return lambda text: len(encode(text, add_special_tokens=False)["input_ids"])
