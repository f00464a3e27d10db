"""Prompts that leave no room are refused, or left out and counted where the load step says so."""

import pytest
from datasets import Dataset

from limbeck.core.errors import RowError
from limbeck.rows.forms import as_read
from limbeck.rows.prompts import render_prompts
from limbeck.rows.render import notes_of, render
from limbeck.rows.rendering import Rendering

ROWS = [
    {"id": name, "prompt": prompt, "completion": "x"} for name, prompt in (("a", "abc"), ("b", "abcdefgh"))
]
RENDERING = Rendering(model_kind="causal", max_length=6)


def rows(**options):
    return as_read(Dataset.from_list(ROWS), **options)


def test_long_prompts_are_refused_with_a_way_out(letters):
    with pytest.raises(RowError, match=r"row b \(9 tokens\).*leave these rows out with too_long: drop"):
        render(rows(), letters, RENDERING)
    with pytest.raises(RowError, match="too_long: drop"):
        render_prompts(rows(), letters, RENDERING)


def test_long_prompts_are_left_out_and_counted(letters):
    rendered = render(rows(too_long="drop"), letters, RENDERING)
    assert rendered["row_id"][:] == ["a"]
    assert any(
        note.startswith("rows left out (too_long: drop)") and note.endswith(": 1.")
        for note in notes_of(rendered)
    )
    assert render_prompts(rows(too_long="drop"), letters, RENDERING)["row_id"][:] == ["a"]


def test_rows_that_are_all_too_long_are_refused(letters):
    with pytest.raises(RowError, match="prompts must leave room"):
        render(rows(too_long="drop").select([1]), letters, RENDERING)
