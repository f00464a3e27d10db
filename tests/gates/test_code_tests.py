"""Code of answers against their tests."""

import pytest

from limbeck.core.errors import ConfigError, RowError
from limbeck.gates import code_tests
from limbeck.gates.code_tests import code_in
from limbeck.gates.sandbox import lacking

pytestmark = pytest.mark.skipif(lacking() is not None, reason=f"the sandbox needs {lacking()}")
RIGHT, WRONG = "def f(x):\n    return x + 1\n", "def f(x):\n    return x + (x < 8)\n"


def judged(answer, tests=("assert f(1) == 2", "assert f(8) == 9"), **settings):
    (found,) = code_tests([{"answer": answer, "tests": list(tests)}], **settings)
    return found.score, found.passed, found.reason


def test_the_score_is_the_share_of_tests_that_pass() -> None:
    assert judged(RIGHT) == (1.0, True, "accepted")
    assert judged(WRONG) == (0.5, False, "failed")
    assert judged(WRONG, minimum=0.5) == (0.5, True, "accepted")
    ten = [f"assert f({n}) == {n + 1}" for n in range(1, 11)]
    assert judged(WRONG, ten, minimum=0.9) == (0.7, False, "failed")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("def f(", "error"), ("", "empty"), ("```bash\nls\n```", "empty"), ("import os; os._exit(0)", "exit"),
        ("raise SystemExit(0)", "error"), ("1 / 0", "error"), ("def f(x): raise SystemExit(0)", "failed"),
    ],
)  # fmt: skip
def test_an_answer_that_ends_early_has_passed_nothing(answer, reason) -> None:
    assert judged(answer) == (0.0, False, reason)


def test_an_endless_answer_is_ended_in_time() -> None:
    assert judged("while True: pass", seconds=1) == (0.0, False, "timeout")


def test_code_is_the_last_block_of_python_or_everything() -> None:
    assert code_in("First\n```python\na = 1\n```\nbetter\n```py\na = 2\n```\n") == "a = 2\n"
    assert code_in("```\na = 3\n```") == "a = 3\n" and code_in("a = 4") == "a = 4"
    assert code_in("run\n```bash\nls\n```") == ""
    assert code_in("~~~python\ns = '```'\n~~~") == "s = '```'\n"


def test_cases_are_programs_that_read_and_print() -> None:
    cases = [{"input": "3\n", "output": "6"}, {"input": "4", "output": "8\n"}]
    code = "print(int(input()) * 2, '')"
    assert judged(code, cases, form="cases") == (1.0, True, "accepted")
    assert judged("print(6)", cases, form="cases") == (0.5, False, "failed")
    assert judged("input(); input()", cases, form="cases") == (0.0, False, "error")


def test_set_up_goes_before_the_answer() -> None:
    row = {"answer": "def f(): return math.pi", "before": "import math", "tests": "assert 3 < f() < 4"}
    assert [one.passed for one in code_tests([row], setup="before")] == [True]
    assert [one.reason for one in code_tests([row])] == ["failed"]


def test_verdicts_come_in_the_order_of_the_rows() -> None:
    rows = [
        {"answer": f"import time; time.sleep({n % 3} / 20); x = {n}", "tests": "assert x % 2 == 0"}
        for n in range(9)
    ]
    assert [one.passed for one in code_tests(rows, workers=3)] == [n % 2 == 0 for n in range(9)]


def test_rows_without_tests_are_refused() -> None:
    with pytest.raises(RowError, match="must have the column 'tests'"):
        list(code_tests([{"answer": RIGHT}]))
    with pytest.raises(ConfigError, match="at least one test"):
        judged(RIGHT, [])
