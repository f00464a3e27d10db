"""Rows that are like others: copies, near copies, novelty, parts of evaluation sets."""

import random

import pytest
from datasketch import MinHash
from rouge_score.rouge_scorer import RougeScorer

from limbeck.core.overlap import rouge_l
from limbeck.gates import decontaminate, exact_duplicate, near_duplicate, novelty, overlap
from limbeck.gates.common_words import numbered

WORDS = list("thecatsonmdgrfwi")


def texts(count, seed, low=0, high=14, words=WORDS):
    draw = random.Random(seed)
    return [" ".join(draw.choices(words, k=draw.randint(low, high))) for _ in range(count)]


def test_common_words_are_those_of_rouge_score() -> None:
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    for first, second in zip(texts(200, 1), texts(200, 2), strict=True):
        numbers: dict[str, int] = {}
        a, b = numbered(first, numbers, "words"), numbered(second, numbers, "words")
        assert rouge_l(a, b) == pytest.approx(scorer.score(first, second)["rougeL"].fmeasure, abs=1e-12)


def test_novelty_is_the_plain_rule_over_all_that_passed_before() -> None:
    # The rule of self-instruct, word by word: refused above 0.7 to anything in the pool.
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    rows = [{"prompt": text} for text in texts(120, 3, low=3, high=6, words=WORDS[:6])]
    pool, expected = ["the cat sat on a mat"], []
    for row in rows:
        nearest = max(scorer.score(one, row["prompt"])["rougeL"].fmeasure for one in pool)
        expected.append(nearest <= 0.7)
        pool += [row["prompt"]] if nearest <= 0.7 else []
    found = [one.passed for one in novelty(rows, {}, [{"prompt": "the cat sat on a mat"}])]
    assert found == expected and 10 < sum(found) < 110


def test_a_text_added_twice_never_grows_the_pool() -> None:
    memory: dict = {}
    rows = [{"prompt": "a b c d", "id": "x"}]
    assert [one.passed for one in novelty(rows, memory)] == [True]
    assert [(one.passed, one.detail) for one in novelty(rows, memory)] == [(False, "as row x")]
    assert [len(texts) for texts, _ in memory["pool"].values()] == [1]


def test_writing_without_latin_letters_is_read_by_its_characters() -> None:
    rows = [{"prompt": "今天天气很好"}, {"prompt": "今天天气不好"}]
    assert [one.reason for one in novelty(rows, {})] == ["unreadable", "unreadable"]
    found = list(novelty(rows, {}, unit="characters"))
    assert [one.passed for one in found] == [True, False] and found[1].score == pytest.approx(5 / 6)


def test_overlap_has_both_edges_included() -> None:
    row = {"question": "a b c d", "answer": "a b x d"}
    for settings, reason in (
        ({"maximum": 0.75}, "accepted"), ({"maximum": 0.74}, "similar"), ({"minimum": 0.76}, "different"),
    ):  # fmt: skip
        (found,) = overlap([row], relative_to="question", **settings)
        assert (found.score, found.reason) == (0.75, reason)


def test_copies_are_found_whatever_their_case_and_signs() -> None:
    rows = [{"text": one} for one in ("Hello, World!", "hello   world", "ｈｅｌｌｏ world", "hello worlds")]
    assert [one.passed for one in exact_duplicate(rows, {})] == [True, False, False, True]
    assert [one.passed for one in exact_duplicate(rows, {}, normalise=False)] == [True] * 4


def test_near_copies_are_found_by_the_estimate_of_datasketch() -> None:
    # Of 40 words one is another: 5 of 36 runs differ on each side, Jaccard 31 / 41.
    first = [f"w{n}" for n in range(40)]
    second = [*first[:20], "other", *first[21:]]
    rows = [
        {"text": " ".join(one), "id": name} for one, name in ((first, "a"), (second, "b"), (first[::-1], "c"))
    ]

    def hashed(said):
        made = MinHash(num_perm=128, seed=1)
        for start in range(len(said) - 4):
            made.update(" ".join(said[start : start + 5]).encode())
        return made

    estimate = hashed(first).jaccard(hashed(second))
    assert abs(estimate - 31 / 41) < 3 / 128**0.5
    found = list(near_duplicate(rows, {}, threshold=0.6))
    assert [one.passed for one in found] == [True, False, True]
    assert found[1].score == pytest.approx(estimate) and found[1].detail == "as row a"
    assert all(one.passed for one in near_duplicate(rows, {}, threshold=0.95))


def test_short_texts_are_one_run() -> None:
    rows = [{"text": "yes"}, {"text": "Yes!"}, {"text": "no"}]
    assert [one.passed for one in near_duplicate(rows, {})] == [True, False, True]


EVALUATION = [{"id": "e1", "prompt": " ".join(f"w{n}" for n in range(20)), "completion": "short answer"}]


def test_the_spans_that_are_shared_are_named_with_their_place_and_row() -> None:
    text = "Now: " + ", ".join(f"W{n}" for n in range(2, 17)) + "! And more."
    found = list(decontaminate([{"prompt": "fresh", "completion": text}], EVALUATION, {}))
    assert [(one.passed, one.reason) for one in found] == [(False, "ngram")]
    (span,) = found[0].detail
    assert text[span["start"] : span["end"]] == span["text"] and span["text"].startswith("W2, W3")
    assert span["text"].endswith("W16") and (span["part"], span["row"]) == ("answer", "e1")
    assert found[0].score == pytest.approx(15 / 19)  # of the words now, w2 .. w16, and, more; fresh


def test_a_run_that_is_one_word_short_passes() -> None:
    rows = [{"text": " ".join(f"w{n}" for n in range(size))} for size in (12, 13)]
    assert [one.passed for one in decontaminate(rows, EVALUATION, {})] == [True, False]


def test_short_prompts_are_found_as_a_whole_and_short_answers_are_not() -> None:
    against = [{"id": "e", "prompt": "What is 2+2?", "completion": "four"}]
    rows = [
        {"prompt": "what is 2 2", "completion": "x"}, {"prompt": "x", "completion": "Four"},
        {"prompt": "Say what is 2+2?", "completion": "x"},
    ]  # fmt: skip
    assert [one.reason for one in decontaminate(rows, against, {})] == ["exact", "accepted", "accepted"]
    assert all(one.passed for one in decontaminate(rows, against, {}, exact=False))


def test_turns_of_a_conversation_are_read(tmp_path) -> None:
    said = EVALUATION[0]["prompt"]
    row = {"messages": [{"role": "user", "content": said}, {"role": "assistant", "content": "ok"}]}
    assert [one.reason for one in decontaminate([row], EVALUATION, {})] == ["exact"]


def test_novelty_of_two_thousand_rows_takes_seconds() -> None:
    rows = [{"prompt": text} for text in texts(2000, 5, low=8, high=40)]
    assert sum(one.passed for one in novelty(rows, {})) > 1000
