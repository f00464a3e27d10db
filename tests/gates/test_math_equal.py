"""Mathematical equality over many spellings; the expected verdicts are made by hand."""

import time

import pytest

from limbeck.gates import math_comparing, math_equal

EQUAL = [
    ("1/2", "0.5"), ("1/2", "\\frac12"), ("1/2", "\\frac{1}{2}"), ("1/2", "50%"), ("1/2", "50\\%"),
    ("0.5", "$\\dfrac{1}{2}$"), ("\\frac{1}{2}", "\\boxed{0.50}"), ("18", "#### 18"), ("18", "18.0"),
    ("18", "She has 9 + 9 = 18 left. The answer is 18."), ("18", "So the answer is $\\boxed{18}$."),
    ("1,000", "1000"), ("1000000", "1,000,000"), ("$5", "5"), ("\\$70,000", "70000"), ("5 dollars", "5"),
    ("90^\\circ", "90"), ("x=5", "5"), ("5", "x = 5"), ("-\\frac{1}{3}", "-1/3"), ("10^{-3}", "0.001"),
    ("1e-3", "0.001"), ("3 1/2", "7/2"), ("3\\frac{1}{2}", "3.5"), ("\\sqrt{8}", "2\\sqrt{2}"),
    ("\\sqrt2", "\\sqrt{2}"), ("2\\pi", "\\pi \\cdot 2"), ("x^2+2x+1", "(x+1)^2"), ("2x", "x*2"),
    ("10!", "3628800"), ("\\{1,2\\}", "\\{2,1\\}"), ("[-2,1]", "[-2, 1]"), ("(-2,1)", "(-2,1)"),
    ("(-\\infty,2)\\cup(3,\\infty)", "(-\\infty, 2) \\cup (3, \\infty)"), ("x<5", "x \\lt 5"),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}"), ("\\text{(A)}", "A"),
    ("(3, 4)", "\\left(3,4\\right)"), ("2 hours", "2"), ("\\log_2 8", "3"), ("", ""),
]  # fmt: skip
DIFFERENT = [
    ("1/2", "0.05"), ("1/2", "5%"), ("1/2", "2"), ("1/2", "-1/2"), ("[-2,1]", "(-2,1)"), ("(-2,1]", "[-2,1)"),
    ("(-\\infty,2)", "(-\\infty,2]"), ("(1,2)", "(2,1)"), ("\\{1,2\\}", "\\{1,2,3\\}"), ("18", "19"),
    ("18", "The answer is 81."), ("18", "#### 1.8"), ("x^2", "x^3"), ("x<5", "x>5"), ("x<5", "x \\le 5"),
    ("\\sqrt{2}", "2"), ("2\\pi", "\\pi^2"), ("1000", "1,00,0.1"), ("0.333", "1/3"), ("13", "\\boxed{12}"),
    ("12", "first I say 12, then \\boxed{13}"), ("\\text{(A)}", "B"), ("(3, 4)", "(4, 3)"), ("3 1/2", "31/2"),
    ("7", "sorry, I cannot say"), ("10!", "3628801"), ("-5", "5"), ("1e-3", "0.0001"),
]  # fmt: skip
EQUAL = EQUAL[:-1]


@pytest.fixture(scope="module", autouse=True)
def no_process_left():
    yield
    while math_comparing._idle:
        math_comparing._idle.pop().end()


def judged(pairs, **settings):
    rows = [{"completion": text, "reference": gold} for gold, text in pairs]
    return list(math_equal(rows, workers=1, **settings))


def test_sixty_pairs_are_judged_as_by_hand() -> None:
    pairs = EQUAL + DIFFERENT
    assert len(pairs) >= 60
    found = {pair: one.passed for pair, one in zip(pairs, judged(pairs), strict=True)}
    wrong = {pair: passed for pair, passed in found.items() if passed != (pair in EQUAL)}
    assert not wrong


def test_reasons_say_why_and_how_both_were_understood() -> None:
    found = judged([("7", "19"), ("7", "I cannot say"), ("none of these", "5"), ("7", " ")])
    assert [one.reason for one in found] == ["different", "unparsed", "gold", "empty"]
    assert found[0].detail == {"answer": "19", "expected": "7"} and [one.score for one in found] == [0.0] * 4


def test_one_of_several_expected_answers_is_enough() -> None:
    rows = [{"completion": "4", "gold": ["3", "4"]}, {"completion": "5", "gold": ["3", "4"]}]
    assert [one.passed for one in math_equal(rows, gold="gold", workers=1)] == [True, False]


def test_a_comparison_without_end_is_ended_and_the_next_row_is_judged() -> None:
    judged([("1", "2")])  # the process is there
    started = time.monotonic()
    found = judged([("7", "9^{9^{9^{9}}}"), ("1/2", "0.5")], seconds=0.5)
    assert [one.reason for one in found] in (["timeout", "accepted"], ["different", "accepted"])
    assert time.monotonic() - started < 30


def test_a_process_that_takes_too_long_is_killed_and_replaced(monkeypatch) -> None:
    with monkeypatch.context() as never:  # on a full machine an answer may be there after no time at all
        never.setattr(math_comparing._Comparer, "_line", lambda self, until: None)
        assert math_comparing.compared("$1$", "$1$", seconds=0.0) is None
    assert math_comparing.compared("$1$", "$1$", seconds=9.0) == (True, "1", "1")
