"""Numbers, arithmetic, votes, rates, likelihoods, entailment: values by hand."""

import math

import pytest

from limbeck.core.errors import ConfigError
from limbeck.gates import (
    entailment,
    execution_equation,
    ngram_repetition,
    numbers_agree,
    pass_rate,
    perplexity,
    self_consistency,
)  # fmt: skip
from limbeck.gates.execution_equation import worked_out
from limbeck.gates.final_answers import final_answer
from limbeck.gates.judging import Gate, Judging
from limbeck.gates.number_words import numbers_in


def test_arithmetic_is_worked_out_and_nothing_else_is_carried_out() -> None:
    values = {
        "( 8.0 - 3.0 )": 5.0, "2*(3+4)": 14.0, "7 // 2": 3.0, "7 % 4": 3.0, "2**10": 1024.0, "-3 + +4": 1.0,
        "10 ÷ 4 × 2": 5.0, "3 + 4 = 7": 7.0, "1,234 + 1": 1235.0, "The answer is ( 2 + 2 )": 4.0, ".5*4": 2.0,
        "": None, "no number": None, "1/0": None, "9**9**9": None, "2**65": None, "__import__('os')": None,
        "1e999": None, "(" * 2000: None, "x + 1 if y": 1.0, "'a' * 9": None,
    }  # fmt: skip
    assert {text: worked_out(text) for text in values} == values


def test_two_texts_without_a_value_are_not_equal() -> None:
    rows = [{"answer": "x", "gold": "x"}, {"answer": "3 - 1", "gold": "x"}, {"answer": "1", "gold": "2"}]
    assert [one.reason for one in execution_equation(rows, gold="gold")] == ["gold", "gold", "different"]


def test_numbers_are_read_in_digits_and_words() -> None:
    found = {
        "1,200.50 and 3": ["1200.5", "3"], "twenty-one": ["21"], "two hundred and five": ["205"],
        "three million two thousand": ["3002000"], "one of the two": ["2"], "1.0 and 1": ["1"], "v2.5": [],
        "a 0.50 share": ["0.5"], "in 1999, 2000": ["1999", "2000"], "-4 degrees": ["-4"], "none": [],
        "1,2,3": ["1", "2", "3"], "ten and ten": ["10"], "hundred": ["100"], "two three": ["2", "3"],
        "sixty and seven": ["60", "7"], "eighteen twenty-five": ["18", "25"],
    }  # fmt: skip
    assert {text: numbers_in(text) for text in found} == found
    assert numbers_in("two", words=False) == []


def test_numbers_may_neither_be_added_nor_lost_but_for_the_released_code() -> None:
    def reasons(**settings):
        pairs = [("2 and 3", "3, two"), ("2 and 3", "2"), ("2", "2 and 3"), ("x", "y")]
        rows = [{"question": before, "answer": after} for before, after in pairs]
        return [one.reason for one in numbers_agree(rows, relative_to="question", **settings)]

    assert reasons() == ["accepted", "lost", "added", "accepted"]
    assert reasons(compat="released") == ["accepted", "accepted", "added", "accepted"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("so \\boxed{\\frac{1}{2}} and \\boxed{3}", "3"), ("<<3+4=7>>7\n#### 7", "7"),
        ("The answer is (B).", "(B)"), ("<answer> 12 </answer>", "12"),
        ("We get 3 and then, after a long while, the sum is 1,234.", "1,234"),
        ("Answer: yes", "yes"), ("no", "no"), ("\\boxed{open", "\\boxed{open"),
    ],
)  # fmt: skip
def test_the_final_answer_of_a_worked_text(text, answer) -> None:
    assert final_answer(text) == answer


def test_votes_are_counted_over_all_answers_to_a_question() -> None:
    def said(*answers, **settings):
        group = [{"answer": one} for one in answers]
        return [(round(v.score, 2), v.reason) for v in self_consistency([group], **settings)]

    assert said("#### 7", "7.0", "#### 8") == [(0.67, "accepted"), (0.67, "accepted"), (0.33, "minority")]
    assert said("1", "2") == [(0.5, "disagreement")] * 2
    assert said("1", "1", "2", "3", "4") == [(0.4, "disagreement")] * 2 + [(0.2, "disagreement")] * 3
    assert said("1", "1", "2", "3", "4", minimum=0.4)[0] == (0.4, "accepted")
    assert said("yes.", "Yes", "no")[0] == (0.67, "accepted")


def test_a_rate_counts_refused_answers_too() -> None:
    import asyncio

    rows = [{"id": str(n), "prompt": "q", "answer": "x" * n} for n in (1, 2, 3, 9)]
    for maximum, accepted in ((0.75, 3), (0.7, 0)):
        judging = Judging([Gate("length", {"max": 5}), Gate("pass_rate", {"maximum": maximum})])
        assert sum(one.accepted for one in asyncio.run(judging.judged(rows))) == accepted
        assert judging.counts()[1]["judged"] == 3
    with pytest.raises(ConfigError, match="Put a verifier before it"):
        list(pass_rate([rows]))


def test_perplexity_is_the_exponential_of_the_mean_loss() -> None:
    rows = [{"prompt": "", "completion": str(n)} for n in range(4)]
    losses = [math.log(2), math.log(8), math.log(3), math.nan]
    found = list(perplexity(rows, lambda pairs: losses, maximum=4.0, minimum=2.5))
    assert [one.reason for one in found] == ["likely", "unlikely", "accepted", "empty"]
    assert [one.score for one in found[:3]] == pytest.approx([2, 8, 3])


TABLE = {
    ("a", "b"): 0.75,
    ("b", "a"): 0.5,
    ("c", "d"): 0.9,
    ("d", "c"): 0.8,
    ("e", "f"): 0.1,
    ("f", "e"): 0.9,
}


@pytest.mark.parametrize(
    ("direction", "reasons"),
    [
        ("forward", ["accepted", "accepted", "forward"]),
        ("backward", ["backward", "accepted", "accepted"]),
        ("both", ["backward", "accepted", "forward"]),
    ],
)
def test_entailment_follows_a_table_made_by_hand(direction, reasons) -> None:
    rows = [{"text_a": a, "text_b": b} for a, b in (("a", "b"), ("c", "d"), ("e", "f"))]

    def classifier(pairs):
        return [{"CONTRADICTION": 1 - TABLE[pair], "Entailment": TABLE[pair]} for pair in pairs]

    assert [one.reason for one in entailment(rows, classifier, direction=direction)] == reasons
    with pytest.raises(ConfigError, match=r"label must be a class of the classifier, got 'yes'"):
        list(entailment(rows, classifier, label="yes"))


def corpus(copies):
    planted = " ".join(f"p{n}" for n in range(20))
    rows = [{"text": f"s{n} {planted} e{n}"} for n in range(copies)]
    return [*rows, *({"text": f"a row with {n} of its own words"} for n in range(9))]


def test_a_run_of_twenty_words_in_twenty_one_rows_goes_and_in_twenty_stays() -> None:
    found = list(ngram_repetition(corpus(21)))
    assert [one.passed for one in found] == [False] * 21 + [True] * 9
    assert {one.score for one in found[:21]} == {21}
    (span,) = found[0].detail
    assert span["text"].split() == [f"p{n}" for n in range(20)]
    assert all(one.passed for one in ngram_repetition(corpus(20)))


def test_spans_can_be_named_without_refusing_the_row() -> None:
    found = list(ngram_repetition(corpus(21), mode="span"))
    assert (
        all(one.passed for one in found) and [bool(one.detail) for one in found] == [True] * 21 + [False] * 9
    )


def test_an_answer_that_goes_in_circles_is_found_in_itself() -> None:
    rows = [{"text": "and so it goes " * 9}, {"text": "and so it goes"}, {"text": "short"}]
    found = list(ngram_repetition(rows, n=4, most=5, within="row"))
    assert [(one.passed, one.score) for one in found] == [(False, 9), (True, 1), (True, 0)]
