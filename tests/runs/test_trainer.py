"""limbeck.DistilTrainer: of models and data, with the step of a recipe."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import TrainingArguments

import limbeck
from limbeck.core.errors import ConfigError, UserError
from limbeck.core.models import load_model, save_model
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Load, Train
from limbeck.runs.record.progress import Silent
from tests import tiny

ROWS = [{"text": f"{text} {n}"} for text in tiny.TEXTS for n in range(3)]
TOKENIZER = tiny.tiny_tokenizer()


def arguments(folder: Path, **changed: object) -> TrainingArguments:
    settings = {
        "output_dir": str(folder), "max_steps": 3, "per_device_train_batch_size": 2, "learning_rate": 0.01,
        "gradient_accumulation_steps": 2, "lr_scheduler_type": "cosine", "adam_beta2": 0.95, "report_to": [],
        "use_cpu": True, "disable_tqdm": True, "save_strategy": "no", "seed": 0, "adam_epsilon": 0.01,
    }  # fmt: skip
    return TrainingArguments(**{**settings, **changed})


def trainer(folder: Path, **changed):
    given = {
        "model": tiny.tiny_llama(seed=2),
        "teacher": tiny.tiny_llama(seed=1),
        "processing_class": TOKENIZER,
        "train_dataset": Dataset.from_list(ROWS),
        "args": arguments(folder),
        "max_length": 48,
    }
    return limbeck.DistilTrainer(**{**given, **changed})


@pytest.mark.parametrize("packing", [False, True])
def test_it_makes_the_student_that_a_recipe_makes(tmp_path: Path, packing: bool) -> None:
    objective = [{"name": "jsd", "beta": 0.3, "weight": 0.7}, {"name": "cross_entropy", "weight": 0.3}]
    mine = trainer(tmp_path / "hf", objective=objective, packing=packing)
    mine.train()
    for name, model in (("S", tiny.tiny_llama(seed=2)), ("T", tiny.tiny_llama(seed=1))):
        save_model(model, TOKENIZER, tmp_path / name)
    step = Train(
        out="student", student=str(tmp_path / "S"), teacher=str(tmp_path / "T"), rows="rows.train",
        objective=objective, packing=packing, learning_rate=0.01, max_steps=3, per_device_train_batch_size=2,
        gradient_accumulation_steps=2, max_length=48, adam_epsilon=0.01,
    )  # fmt: skip
    rows = limbeck.runs.given.kept_rows(ROWS)
    recipe = Recipe(name="same", steps=(Load(out="rows", path=str(rows), heldout=0), step))
    done = limbeck.run(recipe, tmp_path / "run", progress=Silent())
    expected = load_model(done.student, "causal").state_dict()
    for name, weight in mine.model.model.state_dict().items():
        torch.testing.assert_close(weight, expected[name], atol=1e-6, rtol=1e-5, msg=name)


def test_held_out_rows_may_be_given_in_every_form_and_by_name(tmp_path: Path) -> None:
    made = trainer(tmp_path, eval_dataset={"some": ROWS[:3], "more": Dataset.from_list(ROWS[3:])})
    found = made.evaluate()
    assert {"eval_some_loss", "eval_more_loss"} <= set(found)
    assert made.evaluate(ROWS[:3])["eval_loss"] == pytest.approx(found["eval_some_loss"])
    with pytest.raises(ConfigError, match="evaluate needs held-out rows, got none"):
        trainer(tmp_path).evaluate()


def test_models_may_be_paths_and_a_saved_student_has_its_tokenizer(tmp_path: Path) -> None:
    for name, model in (("S", tiny.tiny_llama(seed=2)), ("T", tiny.tiny_llama(seed=1))):
        save_model(model, TOKENIZER, tmp_path / name)
    places = {"model": str(tmp_path / "S"), "teacher": str(tmp_path / "T"), "processing_class": None}
    made = trainer(tmp_path / "out", **places)
    made.save_model()
    again = trainer(tmp_path / "again", model=str(tmp_path / "out"), processing_class=None)
    assert again.processing_class.get_vocab() == TOKENIZER.get_vocab()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"train_dataset": None}, "train_dataset must be given"),
        ({"teacher": None}, "teacher: must be given, forward_kl reads it"),
        ({"max_length": 4096}, "max_length: must be at most 256, the positions of the models, got 4096"),
        ({"objective": {"name": "jsd", "beta": 2.0}}, "beta must lie"),
        ({"objective": {"name": "forward_kl", "on": "student"}}, "on: "),
        ({"objective": "forward_lk"}, "forward_kl"),
        ({"model": tiny.tiny_bert(), "processing_class": TOKENIZER}, "must be causal or seq2seq"),
        ({"model": tiny.tiny_llama(seed=2), "processing_class": None}, "must come with its tokenizer"),
        ({"train_dataset": [{"prompt": "x"}]}, "answer|completion|column"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, changed, message: str) -> None:
    with pytest.raises(UserError, match=message):
        trainer(tmp_path, **changed)


def test_a_teacher_with_another_chat_template_is_refused_where_it_would_read_the_students(
    tmp_path: Path,
) -> None:
    turns = [{"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]}
             for text in tiny.TEXTS]  # fmt: skip
    other = tiny.tiny_tokenizer()
    other.chat_template = tiny.CHAT_TEMPLATE.replace("<|", "[").replace("|>", "]")
    with pytest.raises(ConfigError, match="got another chat template"):
        trainer(tmp_path, train_dataset=turns, teacher_processing_class=other)
    trainer(tmp_path, train_dataset=ROWS, teacher_processing_class=other)  # plain text has no format
    trainer(tmp_path, train_dataset=turns, teacher_processing_class=TOKENIZER)


def test_packs_are_refused_for_models_that_let_their_rows_see_each_other(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("limbeck.runs.trainer.reads_packs", lambda model, vocabulary: False)
    with pytest.raises(ConfigError, match="packing must be False: a LlamaForCausalLM lets the rows"):
        trainer(tmp_path, packing=True)
    trainer(tmp_path)
