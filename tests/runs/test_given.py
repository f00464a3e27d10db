"""Objects in the place of paths: rows, models and tokenizers."""

import json

import pandas as pd
import pytest
from datasets import Dataset, IterableDataset
from transformers import AutoModelForCausalLM

import limbeck
from limbeck.core.errors import ConfigError, ModelError
from limbeck.core.models import load_tokenizer
from limbeck.rows.load import load_rows
from limbeck.runs.given import kept_rows, named
from limbeck.runs.record.progress import Silent
from tests import tiny

ROWS = [{"text": text} for text in tiny.TEXTS]
MANY = [{"text": f"{text} {n}"} for text in tiny.TEXTS for n in range(3)]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("made", [list, Dataset.from_list, pd.DataFrame])
def test_rows_are_kept_by_their_content(made):
    path = kept_rows(made(ROWS))
    assert load_rows(str(path))["text"] == list(tiny.TEXTS)
    assert kept_rows(made(ROWS)) == path
    assert kept_rows(made(ROWS[::-1])) != path


def test_what_is_taken_from_a_dataset_is_what_is_kept():
    rows = Dataset.from_list(ROWS).with_format("numpy").select([2, 0])
    assert load_rows(str(kept_rows(rows)))["text"] == [tiny.TEXTS[2], tiny.TEXTS[0]]
    assert kept_rows(rows) != kept_rows(rows.select([0]))


def test_tool_calls_of_a_list_keep_their_own_keys():
    calls = [{"arguments": {"city": "Rome"}}, {"arguments": {"a": 1}}]
    rows = [{"messages": [{"role": "assistant", "content": "", "tool_calls": [call]}]} for call in calls]
    kept = [json.loads(line) for line in kept_rows(rows).read_text().splitlines()]
    assert kept == rows


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one row"),
        (IterableDataset.from_generator(lambda: iter(ROWS)), "got an IterableDataset"),
        ([{"text": object()}], "got a object"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused(rows, message):
    with pytest.raises(ConfigError, match=message):
        kept_rows(rows)


def test_models_and_tokenizers_stand_anywhere_among_the_inputs():
    model, tokenizer = tiny.tiny_llama(), tiny.tiny_tokenizer()
    found = named({"teacher": (model, tokenizer), "student": {"cut": (model, tokenizer), "layers": [0]}})
    assert found["student"] == {"cut": found["teacher"], "layers": [0]}
    assert named({"student": {"model": "S", "tokenizer": tokenizer}})["student"]["model"] == "S"
    loaded = AutoModelForCausalLM.from_pretrained(found["teacher"])
    again = named({"teacher": loaded})["teacher"]  # with the tokenizer from where it came
    assert load_tokenizer(again).get_vocab() == tokenizer.get_vocab()
    changed = tiny.tiny_llama(seed=5)
    assert named({"teacher": (changed, tokenizer)}) != {"teacher": found["teacher"]}


def test_a_model_without_a_tokenizer_is_refused():
    with pytest.raises(ModelError, match=r"must come with its tokenizer.*teacher=\(model, tokenizer\)"):
        named({"teacher": tiny.tiny_llama()})


def test_a_run_takes_loaded_models_and_rows_and_is_reused(tmp_path):
    tokenizer = tiny.tiny_tokenizer()

    def once():
        return limbeck.run(
            "word_kd", tmp_path / "run", teacher=(tiny.tiny_llama(seed=1), tokenizer),
            student=(tiny.tiny_llama(seed=2, layers=1), tokenizer), data=Dataset.from_list(MANY),
            max_steps=1, max_length=32, heldout=2, per_device_train_batch_size=2, baseline=False,
            progress=Silent(),
        )  # fmt: skip

    done = once()
    weights = (done.student / "model.safetensors").stat().st_mtime_ns
    again = once()
    assert (again.student / "model.safetensors").stat().st_mtime_ns == weights
    assert repr(done).startswith("Run('") and len(repr(done)) < 200 + len(str(tmp_path))


def test_the_package_tells_what_it_has():
    assert {"run", "recipes", "objectives", "DistilTrainer"} <= set(dir(limbeck))
    assert limbeck.DistilTrainer.__module__ == "limbeck.runs.trainer"
