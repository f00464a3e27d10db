"""Does the code in an answer pass its tests, run where it can do no harm?"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from limbeck.core.checks import check_fraction
from limbeck.core.errors import ConfigError
from limbeck.gates.beside import beside_each_other
from limbeck.gates.reading import as_text, said, text_of, value_of
from limbeck.gates.sandbox import Isolation, Limits, Outcome, check_isolation, guarded
from limbeck.gates.verdict import ACCEPTED, Row, Verdict

_FENCED = re.compile(
    r"^[ \t]*(```+|~~~+)[ \t]*([\w+-]*)[^\n]*\n(.*?)^[ \t]*\1[ \t]*$", re.DOTALL | re.MULTILINE
)
_PYTHON = ("python", "python3", "py", "")


def code_tests(
    rows: Iterable[Row],
    *,
    tests: str = "tests",
    setup: str | None = None,
    column: str | None = None,
    form: Literal["asserts", "cases"] = "asserts",
    minimum: float = 1.0,
    seconds: int = 10,
    memory_mb: int = 1024,
    packages: bool = False,
    isolation: Isolation = "kernel",
    workers: int | None = None,
) -> Iterator[Verdict]:
    """Run the code of an answer against its tests, each row in a process of its own that can touch nothing.

    The code is the last fenced block of Python in the text, or the whole text where there is none. The
    process has no network, no environment, an empty folder that is gone afterwards, and may neither start
    others nor read or change other files; see docs/gates.md for what that rests on.

    Args:
        rows: to judge, each alone.
        tests: the column with the tests. `asserts`: a list of texts, or one, that raise where they fail,
            run one after the other on what the code defined. `cases`: a list of {input, output}: the code
            is run as a program on each input, and what it prints must be the output, but for blanks at the
            ends of lines.
        setup: a column with code that goes before the answer.
        column: the text with the code; none: the row's answer.
        form: of the tests.
        minimum: share of the tests that must pass, in [0, 1].
        seconds: for all tests of a row together; of a case each.
        memory_mb: that the process may take, in MiB.
        packages: let the code import what is installed here, not the standard library alone.
        isolation: `kernel` refuses to run where Linux cannot hold the process (Landlock and seccomp); `none`
            runs it with limits and Python's own hooks, which stop accidents and no attack.
        workers: processes at a time; none: one a core.

    Yields:
        score: the share of tests that passed; reasons `failed`, `error` (the code itself raises), `empty`,
            and
        `timeout`, `memory`, `output`, `files`, `threads`, `exit` or `killed` for what ended the process.
        Tests that were not reached have failed.

    Raises:
        ConfigError: the machine cannot hold hostile code, and nobody said it need not.
        RowError: a row without the column of tests.

    Example:
        >>> row = {"answer": "def twice(x): return 2 * x", "tests": ["assert twice(2) == 4"]}
        >>> [(one.score, one.reason) for one in code_tests([row], isolation="none")]
        [(1.0, 'accepted')]

    Source:
        Scores and threshold as in Tian et al. 2025, arXiv:2505.14464 (share of tests passed; 0.9 there).
    """
    check_fraction(minimum=minimum)
    check_isolation(isolation)
    limits = Limits(seconds=seconds, memory=memory_mb << 20)

    def judge(row: Row) -> Verdict:
        code = code_in(text_of(row, column))
        if not code.strip():
            return Verdict(0.0, False, "empty")
        before = text_of(row, setup) if setup else ""
        found = _tests(row, tests)
        run = _asserts if form == "asserts" else _cases
        passed, outcome = run(code, before, found, limits=limits, isolation=isolation, packages=packages)
        return _verdict(passed, len(found), outcome, minimum)

    yield from beside_each_other(rows, judge, workers or os.cpu_count() or 1)


def code_in(text: str) -> str:
    """The last fenced block of Python in a text; the whole text where no block is.

    Example:
        >>> code_in("Here:\\n```python\\nx = 1\\n```\\nand so on")
        'x = 1\\n'
    """
    return fenced(text, _PYTHON)


def fenced(text: str, languages: Sequence[str]) -> str:
    """The last fenced block of one of some languages; the whole text where there is no block at all."""
    blocks = [(language.lower(), code) for _, language, code in _FENCED.findall(text)]
    found = [code for language, code in blocks if language in languages]
    return found[-1] if found else "" if blocks else text


def _asserts(code: str, setup: str, tests: list[Any], **how: Any) -> tuple[int, Outcome]:
    found = guarded(code, [as_text(one) for one in tests], setup=setup, **how)
    return sum(found.tests), found


def _cases(code: str, setup: str, tests: list[Any], **how: Any) -> tuple[int, Outcome]:
    """Each input in a process of its own; what should come out never reaches it."""
    passed, outcome = 0, Outcome("done")
    for case in tests:
        one = guarded(f"{setup}\n{code}", program=True, stdin=as_text(case["input"]), **how)
        fits = one.ended == "done" and _lines(one.output) == _lines(as_text(case["output"]))
        passed += fits
        if not fits and outcome.ended == "done":
            outcome = (
                one if one.ended != "done" else Outcome("done", errors=[f"printed {one.output[:200]!r}"])
            )
    return passed, outcome


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


def _tests(row: Row, column: str) -> list[Any]:
    found = value_of(row, column)
    tests = [found] if isinstance(found, str) else list(found or [])
    if not tests:
        raise ConfigError(f"{said(row)}: {column} must hold at least one test, got none. Leave the row out.")
    return tests


def _verdict(passed: int, tests: int, outcome: Outcome, minimum: float) -> Verdict:
    score = passed / tests
    if score >= minimum and (outcome.ended == "done" or minimum < 1):
        return Verdict(score, True, ACCEPTED)
    reason = "failed" if outcome.ended == "done" else outcome.ended
    return Verdict(score, False, reason, next((one for one in outcome.errors if one), ""))
