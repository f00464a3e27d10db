"""Answers that are arithmetic: worked out, and compared by their value."""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from limbeck.core.checks import check_not_negative
from limbeck.gates.reading import text_of
from limbeck.gates.verdict import Row, Verdict

_OPERATIONS: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", "–": "-", "·": "*", "[": "(", "]": ")"})
_LONGEST, _HIGHEST = 1000, 64  # characters of an expression, and its exponents: 9**9**9 is not worked out
_EQUATION = re.compile(r"(?<![\w.'\"])[-+*/%().\d\s]*\d[-+*/%().\d\s]*(?![\w'\"])")


def execution_equation(
    rows: Iterable[Row], *, gold: str, column: str | None = None, tolerance: float = 1e-6
) -> Iterator[Verdict]:
    """Let answers through whose expression has the value of the expected one.

    An expression holds numbers, + - * / // % ** and brackets, and nothing else is carried out. Of a text
    with words the last expression counts; of `3 + 4 = 7`, what stands left of the sign.

    Args:
        rows: to judge, each alone.
        gold: the column with the expected expression or number.
        column: the text; none: the row's answer.
        tolerance: of the values, relative and absolute.

    Yields:
        score: the value of the answer; reasons `different`, `unparsed`, and `gold` where the expected one
            is none.

    Example:
        >>> rows = [{"answer": "( 8.0 - 3.0 ) * 2", "gold": 10}, {"answer": "__import__('os')", "gold": 10}]
        >>> [(one.score, one.reason) for one in execution_equation(rows, gold="gold")]
        [(10.0, 'accepted'), (None, 'unparsed')]

    Source:
        Hsieh et al. 2023, arXiv:2305.02301; google-research/distilling-step-by-step, `metrics.py`, which
        hands the text to Python's eval.
    """
    check_not_negative(tolerance=tolerance)
    for row in rows:
        value, expected = worked_out(text_of(row, column)), worked_out(text_of(row, gold))
        if expected is None:
            yield Verdict(value, False, "gold", text_of(row, gold))
        elif value is None:
            yield Verdict(None, False, "unparsed", text_of(row, column)[:80])
        elif math.isclose(value, expected, rel_tol=tolerance, abs_tol=tolerance):
            yield Verdict(value, True)
        else:
            yield Verdict(value, False, "different", f"{value:g}, expected {expected:g}")


def worked_out(text: str) -> float | None:
    """The finite value of an arithmetic expression, or of the last one in a text; None without one.

    Example:
        >>> [worked_out(one) for one in ("(1,000 + 2) × 3", "so 3 + 4 = 7", "9**9**9**9", "1/0")]
        [3006.0, 7.0, None, None]
    """
    said = re.sub(r"(?<=\d),(?=\d{3})", "", text.translate(_SIGNS)).partition("=")[0].strip()
    whole = _value(said)
    if whole is not None:
        return whole
    found = [_value(one.strip()) for one in _EQUATION.findall(said)]
    return next((one for one in reversed(found) if one is not None), None)


def _value(text: str) -> float | None:
    if not text or len(text) > _LONGEST:
        return None
    try:
        value = float(_of(ast.parse(text.strip(), mode="eval").body))
    except (ValueError, TypeError, SyntaxError, ArithmeticError, RecursionError, MemoryError):
        return None
    return value if math.isfinite(value) else None


def _of(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)  # type: ignore[arg-type]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        value = _of(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        left, right = _of(node.left), _of(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > _HIGHEST:
            raise ValueError("exponent")
        return _OPERATIONS[type(node.op)](left, right)
    raise ValueError("no arithmetic")
