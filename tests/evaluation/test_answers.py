"""Final answers, each read off its text by eye."""

from fractions import Fraction

import pytest

from limbeck.evaluation.answers import final_answer, same_answer, value

BEHIND_A_MARK = {
    "The answer is 42 because 6 times 7 is 42.": "42",
    "The answer is 42, since I added 40 and 2.": "42",
    "Answer: (B), as 3 > 2": "b",
    "The answer is (B) 42": "b",
    "Answer: C) 5 apples": "c",
    "The answer is: **B**.": "b",
    "She has 5 left. The answer is B": "b",
    "The answer is A because 3 > 2": "a",
    "The answer is a dog": "a dog",
    "The answer is I do not know": "i do not know",
    "The answer is yes because 3 > 2": "yes",
    "The answer is Paris, because it is big.": "paris",
    "The answer is 10-5=5": "5",
    "answer: x = 2 or x = 3": "2",
    "The answer is x+1.": "x+1",
    "The answer to the question is 17 apples": "17",
    "The answer isn't 5, it is 6": "6",
    "#### 5 apples": "5",
    "#### -3\nand 8 more words": "-3",
    "#### A total of 5": "5",
    "5 + 5 #### 1,234.50": "1234.5",
    "The answer is $1,234.50": "1234.5",
    "The answer is \\$5.00": "5",
    "#### 1,00,000": "100000",
    "#### 1/2": "1/2",
    "the answer is \\frac{1}{2}": "1/2",
    "The answer is 3 1/2 cups": "3 1/2",
    "The answer is ½": "1/2",
    "The answer is 1e3": "1000",
    "The answer is 1e-3.": "0.001",
    "The answer is 3.0 × 10⁸ m/s": "3.0*10^8",
    "The answer is 2**10.": "2^10",
    "The answer is −5.": "-5",
    "The answer is 50 %.": "50%",
    "The answer is 12:30": "12:30",
    "**Answer:** 42": "42",
}
BOXED = {
    r"\boxed{\frac{3}{4}}": "3/4",
    r"\boxed{\dfrac{3}{4}}": "3/4",
    r"\boxed{\frac12}": "1/2",
    r"\boxed{-\frac{1}{2}}": "-1/2",
    r"\boxed{3/4}": "3/4",
    r"\boxed{2^{10}}": "2^10",
    r"\boxed{50\%}": "50%",
    r"\boxed{1{,}234}": "1234",
    r"\boxed{x = 5}": "5",
    r"\boxed{x^2+1}": "x^2+1",
    r"\boxed{(1, 2)}": "(1,2)",
    r"\boxed{\text{(B)}}": "b",
    r"\boxed{\text{New York}}": "new york",
    r"\boxed{5\text{ cm}^2}": "5",
    r"\boxed{45^\circ}": "45",
    r"\boxed{\frac{\sqrt{3}}{2}}": "(sqrt(3))/(2)",
    r"first \boxed{2}, then \boxed{3.0}": "3",
    r"The final answer is $\boxed{12}$. I hope it is correct.": "12",
    r"\boxed{7": "7",
    r"The answer is \(\frac{2}{3}\).": "2/3",
}
WITHOUT_A_MARK = {
    "7 apples, 3 pears, so 10 in all": "10",
    "so 1/2 remains": "1/2",
    "so it is 10-5": "5",
    "we get -7": "-7",
    "She runs 1.5e3 m": "1500",
    "nothing here": "",
    r"\boxed{}": "",
}


@pytest.mark.parametrize(("text", "answer"), (BEHIND_A_MARK | BOXED | WITHOUT_A_MARK).items())
def test_the_answer_is_found_whole(text, answer):
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("3/4", Fraction(3, 4)),
        ("(1)/(1+1/2)", Fraction(2, 3)),
        ("3 1/2", Fraction(7, 2)),
        ("-3 1/2", Fraction(-7, 2)),
        ("2^10", 1024),
        ("3.0*10^8", 300_000_000),
        ("1.5*10^-3", Fraction(3, 2000)),
        ("50%", 50),
        ("sqrt(2)", None),
        ("12:30", None),
        ("1/0", None),
        ("9^999999999", None),
        ("paris", None),
        ("", None),
    ],
)
def test_the_value_is_exact_and_nothing_is_run(answer, number):
    assert value(answer) == number


def test_answers_are_compared_by_value():
    assert same_answer("0.5", "1/2") and same_answer("6/8", "3/4") and same_answer("50%", "50")
    assert not same_answer("50%", "0.5") and not same_answer("3/4", "4")
    assert not same_answer("", "") and not same_answer("12:30", "12:45")
