"""Choices of rows against numbers that official code printed."""

import json

import numpy as np
import pytest
import torch

import limbeck
from limbeck.core.adam_directions import adam_direction
from limbeck.core.models import save_model
from limbeck.recipes import Recipe
from limbeck.runs.record.progress import Silent
from limbeck.selectors.less import Gradients, influence
from tests.parity import official
from tests.runs.world import write_rows
from tests.tiny import tiny_llama, tiny_tokenizer

TEMPLATE = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}"
    "{% if m['content'] %}{{ '\\n\\n' }}{% endif %}"
    "### Response:{% else %}{% generation %}{{ m['content'] }}{% endgeneration %}{% endif %}{% endfor %}"
)
"""As the official prompt `wiz` is written: without an instruction, what stands before an answer stays."""


def test_a_direction_of_adam_is_that_of_less():
    gradient, first, second, expected = (torch.tensor(values) for values in official.LESS_ADAM.values())
    torch.testing.assert_close(adam_direction(gradient, first, second), expected, atol=1e-6, rtol=0)


def test_influence_is_that_of_less():
    train, valid = (
        np.asarray(found) / np.linalg.norm(found, axis=-1, keepdims=True)
        for found in (official.LESS_TRAIN, official.LESS_VALID)
    )
    found = influence(Gradients(train, valid, [*"aaabbb"], [3e-5, 1e-5]))
    np.testing.assert_allclose(found, official.LESS_INFLUENCE, atol=1e-6)


def test_ifd_in_a_step_is_that_of_cherry(tmp_path):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = TEMPLATE
    save_model(tiny_llama(seed=5), tokenizer, tmp_path / "scorer")
    rows = [
        {
            "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}],
            "finished": False,
        }
        for asked, said in official.IFD_ROWS
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    steps = [
        {"load": {"out": "rows", "path": str(tmp_path / "rows.jsonl"), "heldout": 0}},
        {
            "select": {
                "out": "chosen", "rows": "rows.train", "selector": "ifd", "model": str(tmp_path / "scorer"),
            }
        },
    ]  # fmt: skip
    made = Recipe.from_data({"limbeck": 1, "name": "x", "steps": steps})
    run = limbeck.run(made, tmp_path / "run", progress=Silent())
    record = json.loads(next(run.folder.glob("steps/*-select-*/selection.json")).read_text())
    found = {row["id"]: row["score"] for row in record["rows"]}
    assert [found[name] for name in sorted(found)] == pytest.approx(official.IFD, abs=2e-6)
