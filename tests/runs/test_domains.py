"""Rows drawn by domain: shares, orders inside domains, and a state that goes on where it was."""

import json
from collections import Counter
from types import SimpleNamespace

import pytest
from datasets import Dataset
from scipy.stats import chisquare

import limbeck
from limbeck.recipes.batches import Domains
from limbeck.runs.assembly.sources import TaskPairs, entries_of
from limbeck.runs.assembly.transforms.domains import DomainRows, domains_of, domains_of_entries
from limbeck.runs.record.progress import Silent
from tests.runs.world import write_rows

SIZES = {"books": 5, "code": 40, "web": 200}
NAMES = [name for name, size in SIZES.items() for _ in range(size)]
GAPS = {"gap_books": 6 / 5, "gap_code": 10 / 8, "gap_web": 20 / 10}


def order(**settings) -> DomainRows:
    return DomainRows(NAMES, Domains(**settings), seed=0)


def drawn(rows: DomainRows, start: int, count: int) -> Counter:
    return Counter(NAMES[entry] for entry in rows.take(start, count))


def test_domains_are_equal_before_the_first_comparison_and_follow_the_gaps_after_it():
    rows = order()
    counts = drawn(rows, 0, 1500)
    assert chisquare([counts[name] for name in SIZES]).pvalue > 0.01
    rows.observe(0, 9, GAPS)
    # The paper's first weights, worked out apart: exp(ratio) over their sum.
    assert rows.weights == pytest.approx({"web": 0.520374, "code": 0.245807, "books": 0.233819}, abs=1e-6)
    counts = drawn(rows, 1500, 1500)
    expected = [1500 * rows.weights[name] for name in SIZES]
    assert chisquare([counts[name] for name in SIZES], expected).pvalue > 0.01
    rows.observe(1, 9, {"gap_books": 1.1, "gap_code": 1.2, "gap_web": 1.5})
    assert rows.weights == pytest.approx({"web": 0.469489, "code": 0.272636, "books": 0.257875}, abs=1e-6)


def test_steps_without_a_measurement_change_nothing():
    rows = order()
    rows.observe(0, 9, {"loss": 3.0})
    assert set(rows.weights.values()) == {1 / 3}


def test_a_domain_starts_over_when_it_has_run_out():
    books = [entry for entry in order().take(0, 300) if NAMES[entry] == "books"]
    turns = [books[start : start + 5] for start in range(0, len(books) - 5, 5)]
    assert all(sorted(turn) == list(range(5)) for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1


def test_a_restored_order_goes_on_with_the_same_rows():
    whole, first, second = order(), order(), order()
    for rows in (whole, first):
        rows.take(0, 100)
        rows.observe(0, 9, GAPS)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    assert second.take(100, 100) == whole.take(100, 100)
    second.observe(1, 9, GAPS)
    whole.observe(1, 9, GAPS)
    assert second.weights == whole.weights


def test_windows_of_a_text_have_the_domain_of_their_row():
    rows = Dataset.from_list([{"id": "a#1", "domain": "x"}, {"id": "b", "domain": "y"}])
    rendered = Dataset.from_list([{"row_id": name} for name in ("a#1", "a#1#1", "b", "b#2", "b#rationale")])
    assert domains_of(rows, rendered, "domain") == ["x", "x", "y", "y", "y"]


def test_an_entry_of_two_tasks_has_the_domain_of_its_row():
    members = [[0, 1], [2, 3], [4, 5]]
    source = TaskPairs(SimpleNamespace(lengths=[1] * 6), members)
    assert entries_of(source) == members
    entries = domains_of_entries(["x", "x", "y", "y", "y", "y"], source)
    drawn = Counter(DomainRows(entries, Domains(), seed=0).take(0, 300))
    assert drawn.keys() == {0, 1, 2} and 100 < drawn[0] < 200


def test_ddk_trains_on_texts_longer_than_max_length(world, tmp_path):
    long = " ".join(["the cat sat on the mat"] * 9)
    data = tmp_path / "rows.jsonl"
    write_rows(data, [{"text": f"{long} {n}", "domain": "ab"[n % 2]} for n in range(12)])
    done = limbeck.run(
        "ddk", tmp_path / "run", teacher=str(world / "teacher"), student=str(world / "student"),
        data=str(data), max_steps=1, max_length=32, heldout=2, validation=4, per_device_train_batch_size=2,
        baseline=False, progress=Silent(),
    )  # fmt: skip
    (metrics,) = (done.folder / "steps").glob("*-train-student/metrics.jsonl")
    assert {"gap_a", "gap_b"} <= set(json.loads(metrics.read_text().splitlines()[0])["validation"])
