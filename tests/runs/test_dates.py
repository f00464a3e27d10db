"""Templates that write today's date write one date in all of a run."""

import json
from datetime import date

from limbeck.core import template
from limbeck.recipes.model import Recipe
from limbeck.runs.launch import run
from limbeck.runs.record import folder as folders
from tests.rows.templates import LLAMA31, assistant, tokenizer_with, user
from tests.tiny import tiny_llama


def test_the_day_of_the_first_start_is_kept_for_every_later_one(tmp_path, monkeypatch):
    tokenizer = tokenizer_with(LLAMA31)
    tiny_llama(vocab=len(tokenizer), layers=1).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "rows.jsonl").write_text(
        "".join(json.dumps({"messages": [user(str(n)), assistant("yes")]}) + "\n" for n in range(4))
    )
    steps = [
        {"load": {"out": "rows", "path": str(tmp_path / "rows.jsonl"), "heldout": 1}},
        {
            "train": {
                "out": "student",
                "student": str(tmp_path / "model"),
                "rows": "rows.train",
                "objective": [{"name": "cross_entropy"}],
                "max_steps": 1,
                "max_length": 200,
            }
        },
    ]
    recipe = Recipe.from_data({"limbeck": 1, "name": "dated", "steps": steps})
    seen = []
    real = template.applied

    def spying(*words, **more):
        seen.append(real(*words, **more))
        return seen[-1]

    for day in (date(2026, 1, 2), date(2026, 1, 3)):
        for module in (template, folders):
            monkeypatch.setattr(module, "today", lambda day=day: day)
        monkeypatch.setattr("limbeck.rows.answers.applied", spying)
        if day.day == 3:  # as if it had been killed in training
            (done,) = (tmp_path / "run").glob("steps/1-*/done.json")
            done.unlink()
        run(recipe, tmp_path / "run")
    dates = {text.partition("Today Date: ")[2][:11] for text in seen}
    assert dates == {"02 Jan 2026"}
