"""Entities by a scripted teacher, and the conversations that a student learns."""

import asyncio
import json
from collections import Counter

import pytest

from limbeck.core.errors import RowError
from limbeck.operators import extract_entities
from tests.operators.scripted import Scripted, reasons

TEXTS = [{"id": "a", "text": "Ada met Max in Paris."}, {"id": "b", "text": "In May it rains."}]


def run(rows, answers, **options):
    teacher = Scripted(answers)
    return asyncio.run(extract_entities(rows, teacher, **options)), teacher


def listed(*pairs: tuple[str, str]) -> str:
    return json.dumps(pairs)


def test_a_text_becomes_a_conversation_that_asks_type_by_type() -> None:
    answers = [
        listed(("Ada", "person"), ("Max", "Person"), ("Ada", "person"), ("Paris", "city"), ("Rome", "city"))
    ]
    rows, teacher = run(TEXTS[:1], answers, shuffle=False)
    said = [(turn["role"], turn["content"]) for turn in rows[0]["messages"]]
    assert said == [
        ("system", "You answer questions about the given text."),
        ("user", "Text: Ada met Max in Paris."),
        ("assistant", "I have read the text."),
        ("user", "What describes person in the text?"),
        ("assistant", '["Ada", "Max"]'),
        ("user", "What describes city in the text?"),
        ("assistant", '["Paris"]'),
    ]
    assert rows[0]["ungrounded"] == ["Rome"]
    assert "List every entity" in teacher.asked[0].messages[1]["content"]


def test_types_of_other_texts_are_answered_by_an_empty_list() -> None:
    answers = [listed(("Ada", "person"), ("Paris", "city")), listed(("May", "month"))]
    rows, _ = run(TEXTS, answers, shuffle=False, negatives="uniform")
    questions = [turn["content"] for turn in rows[0]["messages"] if turn["role"] == "user"][1:]
    assert questions == [f"What describes {name} in the text?" for name in ("person", "city", "month")]
    assert rows[0]["messages"][-1]["content"] == "[]"
    none, _ = run(TEXTS, answers, shuffle=False, negatives="none")
    assert len(none[0]["messages"]) == 7


def test_absent_types_are_drawn_by_the_number_of_texts_that_have_them() -> None:
    # Of 8 texts all have own, 6 common and 2 rare; the ninth has none of them, and one absent type each time.
    rows = [{"id": str(place), "text": f"x{place} y"} for place in range(8)] + [{"id": "last", "text": "z"}]
    answers = [
        listed((f"x{place}", "own"), ("y", "rare" if place % 4 == 0 else "common")) for place in range(8)
    ]
    drawn: Counter[str] = Counter()
    for seed in range(60):
        made, _ = run(rows, [*answers, listed(("z", "z"))], seed=seed, shuffle=False)
        drawn[made[-1]["messages"][-2]["content"]] += 1
    expected = {"own": 30, "common": 22.5, "rare": 7.5}
    found = {name: drawn[f"What describes {name} in the text?"] for name in expected}
    chi_square = sum((found[name] - expected[name]) ** 2 / expected[name] for name in expected)
    assert chi_square < 13.8  # 99.9 % at 2 degrees of freedom


def test_every_absent_type_that_is_asked_for_is_one() -> None:
    answers = [listed(("Ada", "person"), ("Paris", "city")), listed(("May", "month"), ("In", "person"))]
    for seed in range(20):
        rows, _ = run(TEXTS, answers, seed=seed, negatives_per_type=0.5)
        assert "What describes month in the text?" in [turn["content"] for turn in rows[0]["messages"]]


def test_no_absent_type_stands_in_the_text() -> None:
    answers = [listed(("Ada", "person")), listed(("May", "person"))]
    rows, _ = run(TEXTS, answers, negatives_per_type=5)
    assert all(len(row["messages"]) == 5 for row in rows)


def test_questions_are_shuffled_from_the_seed_and_the_first_turn_stays() -> None:
    pairs = [(word, word) for word in ("Ada", "met", "Max", "in", "Paris")]
    orders = set()
    for seed in range(5):
        rows, _ = run(TEXTS[:1], [listed(*pairs)], seed=seed)
        assert rows[0]["messages"][1]["content"].startswith("Text:")
        orders.add(tuple(turn["content"] for turn in rows[0]["messages"][3::2]))
    assert len(orders) > 1 and len({frozenset(order) for order in orders}) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("none", "no_list"),
        (listed(("Rome", "city")), "no_entities"),
        ('[["a"]]', "bad_entity"),
        ("[]", "no_entities"),
    ],
)
def test_lists_that_cannot_be_used_are_rejected_and_the_others_stay(answer, reason) -> None:
    rows, _ = run(TEXTS, [answer, listed(("May", "month"))])
    assert reasons(rows) == [reason, None]


def test_own_tags_become_the_same_conversations_and_nobody_is_asked() -> None:
    tagged = [
        {"id": "a", "tokens": ["Ada", "L.", "met", "Max"], "tags": ["B-person", "I-person", "O", "B-person"]},
        {"id": "b", "tokens": ["In", "New", "York"], "tags": ["O", "B-big_city", "I-big_city"]},
        {"id": "c", "tokens": ["so"], "tags": ["O"]},
    ]
    rows, teacher = run(tagged, [], labels="own", negatives="all", shuffle=False)
    assert teacher.asked == []
    said = [[turn["content"] for turn in row["messages"][1:]] for row in rows]
    assert said[0][0] == "Text: Ada L. met Max"
    assert said[0][2:] == [
        "What describes person in the text?", '["Ada L.", "Max"]',
        "What describes big city in the text?", "[]",
    ]  # fmt: skip
    assert said[1][3] == '["New York"]'
    assert said[2][3::2] == ["[]", "[]"]
    assert reasons(run(tagged, [], labels="own")[0]) == [None, None, "no_entities"]


@pytest.mark.parametrize("tag", ["3", "person", "B-", "X-person"])
def test_tags_that_name_no_type_are_refused(tag) -> None:
    with pytest.raises(RowError, match="tags must be O, or B- or I- and a type"):
        run([{"id": "a", "tokens": ["so"], "tags": [tag]}], [], labels="own")
