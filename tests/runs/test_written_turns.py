"""What a teacher writes for conversations, and what of it a student learns."""

import json

import pytest
from datasets import load_from_disk

from limbeck.recipes.model import Recipe
from limbeck.rows.render import Rendering, render
from limbeck.runs.assembly.teachers.written import text_of
from limbeck.runs.launch import run
from tests.rows.templates import QWEN3_OPENS, QWEN25, assistant, tokenizer_with, user
from tests.tiny import tiny_llama


@pytest.mark.parametrize("template", [QWEN25, QWEN3_OPENS], ids=["qwen2.5", "opens a thought"])
def test_only_what_the_teacher_wrote_is_learnt_and_no_end_where_it_was_cut(tmp_path, template):
    tokenizer = tokenizer_with(template)
    tiny_llama(vocab=len(tokenizer), layers=1).save_pretrained(tmp_path / "teacher")
    tokenizer.save_pretrained(tmp_path / "teacher")
    turns = [user("hi"), assistant("the data's"), user("and?"), assistant("the data's own")]
    rows = [{"messages": [user(str(number)), *turns[1:]]} for number in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    steps = [
        {"load": {"out": "rows", "path": str(tmp_path / "rows.jsonl"), "heldout": 0}},
        {
            "generate": {
                "out": "texts",
                "teacher": str(tmp_path / "teacher"),
                "rows": "rows.train",
                "max_new_tokens": 4,
                "seed": 1,
            }
        },
    ]
    run(Recipe.from_data({"limbeck": 1, "name": "texts", "steps": steps}), tmp_path / "run")
    written = load_from_disk(str(next((tmp_path / "run").glob("steps/1-*/rows"))))
    cut = written.filter(lambda finished: not finished, input_columns="finished")
    assert len(cut) > 0
    for row, example in zip(cut, render(cut, tokenizer, Rendering("causal", 512)), strict=True):
        answer = row["messages"][-1]["content"]
        loss_mask = [
            one for one, flag in zip(example["input_ids"], example["is_target"], strict=True) if flag
        ]
        assert tokenizer.decode(loss_mask) == answer  # no end, and no thought that was closed
        assert loss_mask == example["input_ids"][-len(loss_mask) :]


def test_tags_of_thoughts_are_kept_though_the_tokenizer_calls_them_special():
    tokenizer = tokenizer_with(QWEN25)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    ids = tokenizer("<think>a</think>b<|im_end|>", add_special_tokens=False)["input_ids"]
    assert text_of(ids, tokenizer) == "<think>a</think>b"
