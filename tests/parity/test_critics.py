"""Gates on pairs of texts against the critics of Impossible Distillation, run on the same pairs.

jaehunjung1/impossible-distillation @ b2d3ba7, `pipeline/filter.py`: `filter_length`, `filter_number` and
`set_and_filter_overlap` were called on one pair at a time, `remove_duplicates` with a critic that is made
up. Its numbers are read by a spaCy model; it was handed those that are read here, so that the rule alone
is compared. Its ROUGE is that of `rouge_score`.
"""

import itertools
import random
from hashlib import sha256

from limbeck.gates import entailed_duplicate, length, numbers_agree, overlap

WORDS = "the cat sat on two mats and 3 dogs ran off with 12 red balls into a far green wood"
LENGTH = "1011111011111011101111110010011111001100"
NUMBER = "1011001110111111111111111111111111111110"
OVERLAP = "0100011100010000011001011101100001111111"
ROUGE = [1.0, 0.333333, 1.0, 1.0, 0.833333, 0.714286, 0.666667, 0.333333]
"""Of the first pairs."""
DOUBLES = (
    "100000011",
    "100000001",
    "0001001",
    "000000101",
    "010000100101",
    "000010",
    "00000101",
    "1000100010010",
    "0000010000",
    "0001000000",
    "000100100",
    "0000010001",
)
"""Pairs of twelve sources of six candidates: which of them `remove_duplicates` keeps."""


def pairs() -> list[dict[str, str]]:
    """Forty pairs: a text, and one with other words or cut short."""
    words, draw, found = WORDS.split(), random.Random(7), []
    for _ in range(40):
        first = draw.choices(words, k=draw.randint(3, 9))
        second = list(first)
        for _ in range(draw.randint(0, 3)):
            second[draw.randrange(len(second))] = draw.choice(words)
        if draw.random() < 0.4:
            second = second[: draw.randint(2, len(second))]
        found.append({"question": " ".join(first), "answer": " ".join(second)})
    return found


def bits(verdicts) -> str:
    return "".join("01"[one.passed] for one in verdicts)


def test_the_ratio_of_lengths_is_judged_as_by_the_official_code() -> None:
    assert bits(length(pairs(), min=0.8, max=1.5, relative_to="question")) == LENGTH


def test_numbers_are_judged_as_by_the_official_code_which_misses_those_that_are_lost() -> None:
    released = bits(numbers_agree(pairs(), relative_to="question", compat="released"))
    assert released == NUMBER and released.count("1") == 35
    symmetric = bits(numbers_agree(pairs(), relative_to="question"))
    assert symmetric.count("1") == 27
    assert all(old == "1" for old, new in zip(released, symmetric, strict=True) if new == "1")


def test_overlap_is_judged_as_by_the_official_code() -> None:
    found = list(overlap(pairs(), relative_to="question", maximum=0.75))
    assert bits(found) == OVERLAP
    assert [round(one.score, 6) for one in found[: len(ROUGE)]] == ROUGE


def critic(pairs):
    """Entailment between 0 and 1/2 by the texts, against 0.45 for neutral: an edge for one pair in ten."""
    found = []
    for first, second in pairs:
        share = int(sha256(f"{first}|{second}".encode()).hexdigest()[:8], 16) / 2**32
        found.append({"contradiction": 0.3, "entailment": 0.5 * share, "neutral": 0.45})
    return found


def test_doubles_go_as_by_the_official_code() -> None:
    for source, expected in enumerate(DOUBLES):
        draw = random.Random(source)
        named = itertools.combinations([f"s{source}t{number}" for number in range(6)], 2)
        group = [{"text_a": first, "text_b": second} for first, second in named if draw.random() < 0.6]
        assert bits(entailed_duplicate([group], critic)) == expected
