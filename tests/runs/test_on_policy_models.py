"""Models with peculiarities: padded heads, no end token, rows of several kinds."""

import json

import pytest
import torch

import limbeck
from limbeck.core.errors import ModelError
from limbeck.core.models import save_model
from limbeck.runs.record.progress import Silent
from tests import tiny
from tests.runs.on_policy import tiny_recipe
from tests.runs.world import write_rows


def run(recipe, out):
    return limbeck.run(recipe.model_copy(update={"steps": recipe.steps[:-1]}), out, progress=Silent())


@pytest.mark.parametrize("name", ["on_policy", "minillm"])
def test_ids_of_a_padded_head_are_never_written_or_judged(world, tmp_path, name):
    # The teacher likes its 64 columns of padding best; the student has 16 of its own.
    wide = tiny.tiny_llama(vocab=tiny.VOCABULARY + 64, layers=1, seed=5)
    with torch.no_grad():
        wide.lm_head.weight[tiny.VOCABULARY :] *= 40
    save_model(wide, tiny.tiny_tokenizer(), tmp_path / "wide")
    save_model(
        tiny.tiny_llama(vocab=tiny.VOCABULARY + 16, layers=1, seed=6),
        tiny.tiny_tokenizer(),
        tmp_path / "padded",
    )
    recipe = tiny_recipe(
        name,
        world,
        teacher=str(tmp_path / "wide"),
        student=str(tmp_path / "padded"),
        baseline=False,
        max_steps=2,
    )
    done = run(recipe, tmp_path / "run")
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    assert all(abs(line["loss"]) < 50 for line in lines)


def test_a_tokenizer_without_an_end_is_refused(world, tmp_path):
    tokenizer = tiny.tiny_tokenizer()
    tokenizer.eos_token = None
    for place in ("teacher", "student"):
        save_model(tiny.tiny_llama(layers=1, seed=len(place)), tokenizer, tmp_path / place)
    models = {place: str(tmp_path / place) for place in ("teacher", "student")}
    with pytest.raises(ModelError, match="the tokenizer must have an end token"):
        run(tiny_recipe("gkd", world, baseline=False, **models), tmp_path / "run")


@pytest.mark.parametrize("kind", ["texts", "turns"])
def test_rollouts_continue_texts_and_conversations(world, tmp_path, kind):
    said = [
        ("user", "the cat"),
        ("assistant", "sat on"),
        ("user", "the mat and the dog"),
        ("assistant", "sat"),
    ]
    chat = [
        {"messages": [{"role": role, "content": f"{text} {n}"} for role, text in said]} for n in range(12)
    ]
    write_rows(world / "turns.jsonl", chat)
    recipe = tiny_recipe(
        "gkd", world, data=str(world / f"{kind}.jsonl"), on_policy=1.0, baseline=False, max_steps=2
    )
    assert (run(recipe, tmp_path / "run").folder / "student" / "config.json").exists()
