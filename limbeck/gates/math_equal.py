"""Is the answer mathematically the expected one, however it is written?"""

import os
import re
from collections.abc import Iterable, Iterator

from limbeck.core.checks import check_positive
from limbeck.gates.beside import beside_each_other
from limbeck.gates.math_comparing import compared
from limbeck.gates.optional import imported
from limbeck.gates.reading import as_text, text_of, value_of
from limbeck.gates.verdict import Row, Verdict

_MARKED = ("$", "\\boxed", "\\(", "\\[")
_COMMAND = re.compile(r"\\[a-zA-Z]+")
_WORD = re.compile(r"[a-zA-Z]{3,}|(?:\A|\s)[a-zA-Z]{2}(?:\s|\Z)")
_CURRENCY = re.compile(r"\\\$")
_SCIENTIFIC = re.compile(r"(?<![\w.])(-?\d+(?:\.\d+)?)[eE]([+-]?\d+)(?![\w.])")
_MIXED = re.compile(r"\A\s*(-?)(\d+)\s+(\d+)\s*/\s*(\d+)\s*\Z")
_LONGEST = 80  # characters of a text that is an expression by itself


def math_equal(
    rows: Iterable[Row],
    *,
    gold: str = "reference",
    column: str | None = None,
    seconds: float = 5.0,
    workers: int | None = None,
) -> Iterator[Verdict]:
    r"""Let answers through whose final expression is mathematically the expected one.

    1/2, 0.5, \frac12 and 50% are one number; [-2, 1] and (-2, 1) are two intervals. Of a longer text the
    boxed expression counts, else what follows `the answer is` or `####`, else the last one. Each
    comparison runs in a process that is ended when it takes too long.

    Args:
        rows: to judge, each alone.
        gold: the column with the expected answer; a list of them: one must fit.
        column: the text; none: the row's answer.
        seconds: for one comparison.
        workers: comparisons at a time; none: one a core.

    Yields:
        score: 1 or 0; reasons `different`, `unparsed` (no mathematics in the text), `gold` (none in the
        expected answer), `empty` and `timeout`. The detail says how both were understood.

    Raises:
        RowError: a row without the column.

    Example:
        >>> rows = [{"answer": text, "reference": "1/2"} for text in ("so 0.5", "\\boxed{50\\%}", "0.05")]
        >>> [one.reason for one in math_equal(rows)]
        ['accepted', 'accepted', 'different']

    Source:
        Math-Verify (huggingface/Math-Verify) parses and compares; it tells intervals apart, which the
        `math_equal` of Qwen2.5-Math does not.
    """
    check_positive(seconds=seconds)
    imported("math_verify", "math_equal")

    def judge(row: Row) -> Verdict:
        text = text_of(row, column)
        expected = value_of(row, gold)
        if not text.strip():
            return Verdict(0.0, False, "empty")
        golds = [as_text(one) for one in (expected if isinstance(expected, list) else [expected])]
        verdicts = [_verdict(one, text, seconds) for one in golds]
        return next((one for one in verdicts if one.passed), verdicts[0])

    yield from beside_each_other(rows, judge, workers or os.cpu_count() or 1)


def as_mathematics(text: str) -> str:
    r"""A text as Math-Verify reads it best: a bare expression between dollar signs.

    Example:
        >>> [as_mathematics(text) for text in ("1/2", "3 1/2", "2e-3", "so it is 4", "\\boxed{4}")]
        ['$1/2$', '$3\\frac{1}{2}$', '$2*10^{-3}$', 'so it is 4', '\\boxed{4}']
    """
    plain = _MIXED.sub(r"\1\2\\frac{\3}{\4}", _CURRENCY.sub("", text.strip()))
    plain = _SCIENTIFIC.sub(r"\1*10^{\2}", plain)
    is_marked = any(mark in plain for mark in _MARKED)
    has_words = _WORD.search(_COMMAND.sub("", plain)) is not None
    if is_marked or has_words or len(plain) > _LONGEST or "\n" in plain:
        return plain
    return f"${plain}$"


def _verdict(gold: str, text: str, seconds: float) -> Verdict:
    if gold.strip() and " ".join(gold.split()) == " ".join(text.split()):
        return Verdict(1.0, True)
    found = compared(as_mathematics(gold), as_mathematics(text), seconds=seconds)
    if found is None:
        return Verdict(0.0, False, "timeout", f"more than {seconds:g} s")
    equal, expected, said = found
    detail = {"answer": said, "expected": expected}
    if equal:
        return Verdict(1.0, True, detail=detail)
    return Verdict(
        0.0, False, "gold" if expected is None else "unparsed" if said is None else "different", detail
    )
