"""Rows that come one after another: any number, any columns, one type each."""

import pytest
from datasets import load_from_disk

from limbeck.core.errors import RowError
from limbeck.core.lineage import FIELDS
from limbeck.runs.assembly.eliciting import kept_rows
from limbeck.runs.assembly.eliciting.kept_rows import KeptRows


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(kept_rows, "_PER_PART", 2)


@pytest.mark.usefixtures("small_parts")
def test_columns_and_keys_of_turns_that_come_later_are_those_of_all_rows(tmp_path):
    rows = KeptRows(tmp_path / "parts")
    turns = [{"role": "user", "content": "a"}]
    thinking = [*turns, {"role": "assistant", "content": "b", "reasoning_content": "c"}]
    for number in range(4):
        rows.add({"id": str(number), "messages": turns, "score": number})
    rows.add({"id": "4", "messages": thinking, "score": 0.5, "domain": "x"})
    rows.finish(tmp_path / "rows")
    found = load_from_disk(str(tmp_path / "rows"))
    assert found["id"] == ["0", "1", "2", "3", "4"] and found["score"] == [0, 1, 2, 3, 0.5]
    assert found["domain"] == [None] * 4 + ["x"]
    assert found[4]["messages"][1]["reasoning_content"] == "c"
    assert set(FIELDS) <= set(found.column_names)
    assert found.column_names[:3] == ["messages", "score", "domain"]
    assert not (tmp_path / "parts").exists()


@pytest.mark.usefixtures("small_parts")
def test_a_column_of_two_types_is_refused_by_name(tmp_path):
    rows = KeptRows(tmp_path / "parts")
    rows.add({"id": "0", "label": 1})
    rows.add({"id": "1", "label": 2})
    rows.add({"id": "2", "label": "two"})
    with pytest.raises(RowError, match=r"must be of one type in all of them, got several .*label"):
        rows.finish(tmp_path / "rows")


def test_no_rows_are_rows_that_can_be_read(tmp_path):
    rows = KeptRows(tmp_path / "parts")
    rows.finish(tmp_path / "rows")
    assert len(load_from_disk(str(tmp_path / "rows"))) == 0
