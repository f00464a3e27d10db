"""What every gate promises, whoever wrote it: one battery over the catalogue."""

import asyncio
import copy
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from limbeck.core.asking import Reply
from limbeck.core.catalogue import REQUIRED, catalogue
from limbeck.gates.judging import EVERYTHING, GROUPS, MEMORY, Gate, Judging, Needs
from limbeck.gates.sandbox import lacking
from limbeck.gates.verdict import verdicts_of

ENTRIES = catalogue("gates")
WORDS = [f"word{place}" for place in range(16)]
VALUES = (1, 1, 0, 0, 1, 0, 1, 2, 3, 1, 1, 1)


def answer(place: int) -> str:
    thoughts = "" if place % 5 == 4 else f"<think>I count {VALUES[place]}</think> "
    return f'{thoughts}{{"n": {VALUES[place]}}}' + " so it is done" * (place % 3)


ROWS: list[dict[str, Any]] = [
    {
        "id": f"r{place}",
        "parents": [f"q{place // 3}"],
        "prompt": " ".join(WORDS[3 * (place % 4) :] if place % 4 else [str(place), *WORDS[::-1]]),
        "completion": answer(place),
        "gold": str(place % 2),
        "said": str(place % 3),
        "tests": ["assert 1"],
        "right": place % 3 == 0 or place < 6,
        "finished": place != 5,
    }
    for place in range(12)
]
ROWS[9] = {**ROWS[0], "id": "r9", "parents": ["q3"]}
"""Rows of four questions with three answers each, with every column that a gate here names."""

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "anls": {"column": "said", "gold": "gold"},
    "code_tests": {"column": "gold", "isolation": "none" if lacking() else "kernel"},
    "exact_match": {"column": "said", "gold": "gold"},
    "execution_equation": {"gold": "gold"},
    "format": {"tags": ["think"]},
    "json_schema": {"schema": {"type": "integer"}, "column": "gold"},
    "is_true": {"column": "right"},
    "judge": {"minimum": 5},
    "length": {"max": 60},
    "math_equal": {"gold": "gold", "workers": 1},
    "ngram_repetition": {"n": 4, "most": 4},
    "numbers_agree": {"relative_to": "gold"},
    "overlap": {"relative_to": "gold", "maximum": 0.1},
    "pass_rate": {"column": "right", "minimum": 0.5},
    "perplexity": {"maximum": 3.0},
}
"""Settings without a default; the battery refuses to skip a gate."""

ORDERED = ("entailed_duplicate", "exact_duplicate", "near_duplicate", "novelty")
"""Gates to which the order of the rows counts: of two that are alike or equally good the first passes."""


async def _ask(request: Any) -> Reply:
    return Reply(f"So so. [[{1 + len(str(request.messages)) % 10}]]")


NEEDS = Needs(
    against=[
        {"id": "e0", "prompt": " ".join(WORDS), "completion": "6"},
        {"id": "q1", "prompt": "something else", "completion": "other"},
    ],
    classifier=lambda pairs: [{"entailment": "done" in b, "neutral": "done" not in b} for _, b in pairs],
    scorer=lambda pairs: [len(answer) / 50 for _, answer in pairs],
    ask=_ask,
)


def judged(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    judging = Judging([Gate(name, OPTIONS.get(name, {}))], NEEDS)
    found = asyncio.run(judging.judged(rows))
    return [{**verdicts_of(one.row)[-1], "accepted": one.accepted} for one in found]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_gate_says_what_it_is_and_all_its_settings(name):
    entry = ENTRIES[name]
    assert entry.module == f"limbeck.gates.{name}" and entry.summary.endswith(".")
    assert entry.positional[0] in ("rows", GROUPS, EVERYTHING)
    assert set(entry.positional[1:]) <= {MEMORY, "against", "classifier", "scorer", "ask"}
    assert set(entry.meanings) == {*entry.positional, *entry.keywords}, "Args say every argument"
    assert re.search(r"\n *Yields:\n", entry.doc), "says its scores and reasons"
    assert {key for key, value in entry.keywords.items() if value == REQUIRED} <= OPTIONS.get(name, {}).keys()
    kind = inspect.unwrap(entry.load())
    assert inspect.isasyncgenfunction(kind) == ("ask" in entry.positional)


@pytest.mark.parametrize("name", ENTRIES)
def test_one_verdict_a_row_of_plain_data_with_a_reason_of_one_word(name):
    before = copy.deepcopy(ROWS)
    found = judged(name, ROWS)
    assert before == ROWS, "rows stay as they are"
    assert len(found) == len(ROWS)
    json.dumps(found, allow_nan=False)
    for one in found:
        assert one["gate"] == name and one["accepted"] == one["passed"]
        assert re.fullmatch(r"[a-z]+", one["reason"]) and (one["reason"] == "accepted") == one["passed"]


@pytest.mark.parametrize("name", ENTRIES)
def test_the_rows_here_show_both_sides_of_a_gate(name):
    if name not in ("code_tests", "json_schema"):
        assert {one["passed"] for one in judged(name, ROWS)} == {True, False}


@pytest.mark.parametrize("name", [name for name in ENTRIES if ENTRIES[name].positional[0] != EVERYTHING])
def test_rows_that_come_in_chunks_are_judged_as_in_one_piece(name):
    judging = Judging([Gate(name, OPTIONS.get(name, {}))], NEEDS)
    found = [
        one
        for start in range(0, len(ROWS), 3)
        for one in asyncio.run(judging.judged(ROWS[start : start + 3]))
    ]
    assert [{**verdicts_of(one.row)[-1], "accepted": one.accepted} for one in found] == judged(name, ROWS)


@pytest.mark.parametrize("name", [name for name in ENTRIES if name not in ORDERED])
def test_a_verdict_does_not_depend_on_the_order_of_the_rows(name):
    assert judged(name, ROWS[::-1]) == judged(name, ROWS)[::-1]


@pytest.mark.parametrize("name", ENTRIES)
def test_no_rows_have_no_verdicts(name):
    assert judged(name, []) == []
