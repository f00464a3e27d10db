"""Better and worse answers to one question, side by side."""

from collections import Counter

import pytest

from limbeck.core.errors import RowError
from limbeck.rows.pairing import pairs_against, pairs_by_score


def answer(name: str, question: str, text: str, **more) -> dict:
    return {"id": name, "prompt": question, "completion": text, **more}


ROWS = [
    answer("a", "q", "best", grade=9.0),
    answer("b", "q", "bad", grade=1.0, finished=False),
    answer("c", "q", "fair", grade=5),
    answer("d", "alone", "x", grade=3.0),
    answer("e", "same", "y", grade=2.0),
    answer("f", "same", "z", grade=2.0),
]


def scored(**how):
    left = Counter()
    found = [
        *pairs_by_score(ROWS, "grade", **{"rejects": "worst", "most": 1, "seed": 0, "left": left, **how})
    ]
    return found, left


def test_the_best_is_chosen_and_the_worst_rejected_and_questions_without_a_pair_are_counted():
    (made,), left = scored()
    assert (made["prompt"], made["chosen"], made["rejected"]) == ("q", "best", "bad")
    assert (made["chosen_score"], made["rejected_score"], made["parents"]) == (9, 1, ["a", "b"])
    assert made["finished"] is False, "the end of a cut answer is not learnt"
    assert left == {"one_answer": 1, "all_equal": 1}


def test_a_random_other_is_rejected_the_same_for_a_seed_and_each_with_half_the_seeds():
    drawn = [scored(rejects="random", seed=seed)[0][0]["rejected"] for seed in range(40)]
    assert drawn == [scored(rejects="random", seed=seed)[0][0]["rejected"] for seed in range(40)]
    assert 10 < drawn.count("bad") < 30 and set(drawn) == {"bad", "fair"}
    assert [one["rejected"] for one in scored(most=5)[0]] == ["bad", "fair"]


def test_good_answers_are_paired_with_refused_ones_to_the_same_question():
    good = [answer("g", "q", "4"), answer("h", "other", "1")]
    bad = [answer("i", "q", "5"), answer("j", "q", "4"), {"id": "k", "prompt": "q"}]
    left = Counter()
    (made,) = pairs_against(good, bad, most=9, seed=0, left=left)
    assert (made["chosen"], made["rejected"]) == ("4", "5") and left == {"no_worse_answer": 1}


def test_answers_of_conversations_are_turns():
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}]
    other = [turns[0], {"role": "assistant", "content": "bad"}]
    rows, worse = [{"id": "a", "messages": turns}], [{"id": "b", "messages": other}]
    (made,) = pairs_against(rows, worse, most=1, seed=0, left=Counter())
    assert made["messages"] == turns[:1]
    assert made["rejected"] == [{"role": "assistant", "content": "bad"}]


def test_a_row_without_a_score_is_refused_by_its_name():
    with pytest.raises(RowError, match="row a: grade must be a number, got None"):
        [*pairs_by_score([answer("a", "q", "x")], "grade", rejects="worst", most=1, seed=0, left=Counter())]
