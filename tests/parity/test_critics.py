"""Gates on pairs of texts against the critics of Impossible Distillation, run on the same pairs.

jaehunjung1/impossible-distillation @ b2d3ba7, `pipeline/filter.py`: `filter_length`, `filter_number` and
`set_and_filter_overlap` were called on one pair at a time. Its numbers are read by a spaCy model; it was
handed those that are read here, so that the rule alone is compared. Its ROUGE is that of `rouge_score`.
"""

import random

from limbeck.gates import length, numbers_agree, overlap

WORDS = "the cat sat on two mats and 3 dogs ran off with 12 red balls into a far green wood"
LENGTH = "1011111011111011101111110010011111001100"
NUMBER = "1011001110111111111111111111111111111110"
OVERLAP = "0100011100010000011001011101100001111111"
ROUGE = [1.0, 0.333333, 1.0, 1.0, 0.833333, 0.714286, 0.666667, 0.333333]
"""Of the first pairs."""


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
