"""The section on rows that a teacher made: yields, costs, failures, terms, and rows side by side."""

import json
from pathlib import Path

import pytest
from datasets import Dataset

from limbeck.report.build import build_report

YIELD = {
    "candidates": 50, "accepted": 30, "failed": 2, "failures": {"timeout": 2}, "calls": 80, "cached": 20,
    "gates": [{"gate": "length", "judged": 50, "rejected": 20, "reasons": {"long": 15, "short": 5}}],
    "tokens_in": 4000, "tokens_out": 9000, "cost": "1.50", "spent": "1.00", "currency": "EUR",
    "cost_per_accepted": "0.05",
}  # fmt: skip
ASKED = json.dumps({"messages": [{"role": "user", "content": "As a teacher, say: why <b>?"}]})
KEPT = {
    "prompt": "why?", "completion": "because", "rationale": "as it must be", "asked": ASKED,
    "reasoning": "let me think",
    "terms": "noncommercial", "verdicts": "[]",
}  # fmt: skip
REFUSED = {
    **KEPT,
    "completion": "because " * 90,
    "verdicts": json.dumps(
        [{"gate": "length", "score": 720, "passed": False, "reason": "long", "detail": "too long by far"}]
    ),
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (tmp_path / "recipe.yaml").write_text("limbeck: 1\nname: asked\nsteps: []\n", encoding="utf-8")
    folder = tmp_path / "steps" / "0-elicit-answers"
    folder.mkdir(parents=True)
    (folder / "done.json").write_text(json.dumps({"kind": "elicit", "out": "answers"}), encoding="utf-8")
    (folder / "yield.json").write_text(json.dumps(YIELD), encoding="utf-8")
    Dataset.from_list([KEPT] * 5).save_to_disk(str(folder / "rows"))
    Dataset.from_list([REFUSED]).save_to_disk(str(folder / "rejected"))
    return tmp_path


def test_what_was_asked_and_what_it_cost_stands_on_the_page(run):
    page = build_report(run).read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    for words in (
        "Rows made as <code>answers</code>",
        "30 of 50 candidates (60.0 %)",
        "80, of which 25.0 % were kept already",
        "1.50 EUR, 1.00 of it in this run",
        "0.05 EUR",
        "noncommercial",
        "long 15, short 5",
        "timeout 2",
        "<td>60.0 %</td>",  # 30 of the 50 that length judged
        "let me think",
        "as it must be",
        "length: long",
        "too long by far",
    ):
        assert words in page, words
    assert "As a teacher, say: why &lt;b&gt;?" in page and "<b>?" not in page
    assert page.count("<summary>why?</summary>") == 3


def test_a_run_that_asked_nobody_has_no_such_section(run):
    (run / "steps" / "0-elicit-answers" / "yield.json").unlink()
    assert "Rows made as" not in build_report(run).read_text(encoding="utf-8")


def test_an_unknown_price_is_said(run):
    unpriced = {**YIELD, "cost": None, "spent": None, "currency": None, "cost_per_accepted": None}
    (run / "steps" / "0-elicit-answers" / "yield.json").write_text(json.dumps(unpriced), encoding="utf-8")
    assert "not known: no price was given" in build_report(run).read_text(encoding="utf-8")
