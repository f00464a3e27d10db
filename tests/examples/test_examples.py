"""The examples do what they say."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import limbeck
from examples import trainer, word_kd_by_hand
from limbeck.core.models import save_model
from limbeck.recipes import Term
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Load, Train
from limbeck.runs.record.progress import Silent
from tests import tiny

ROWS = [
    {"prompt": " ".join(text.split()[: 2 + n]), "completion": " ".join(text.split()[2 + n :])}
    for n in range(3)
    for text in tiny.TEXTS[:3]
]


@pytest.fixture
def models(tmp_path: Path) -> tuple[str, str]:
    save_model(tiny.tiny_llama(seed=1, layers=3), tiny.tiny_tokenizer(), tmp_path / "teacher")
    save_model(tiny.tiny_llama(seed=2), tiny.tiny_tokenizer(), tmp_path / "student")
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    return str(tmp_path / "teacher"), str(tmp_path / "student")


def test_distillation_by_hand_makes_the_student_that_a_recipe_makes(models, tmp_path, monkeypatch):
    teacher, student = models
    hand = word_kd_by_hand
    # With its usual one, Adam makes a full step out of a gradient that is rounding noise.
    monkeypatch.setattr(hand, "EPSILON", 0.01)
    hand.main(teacher, student, str(tmp_path / "rows.jsonl"), str(tmp_path / "by_hand"))
    objective = (
        Term(name="cross_entropy", weight=1 - hand.KD_RATIO),
        Term(name="forward_kl", weight=hand.KD_RATIO),
    )
    step = Train(
        out="student", student=student, teacher=teacher, rows="rows.train", objective=objective,
        packing=False, learning_rate=hand.LEARNING_RATE, max_steps=hand.STEPS,
        per_device_train_batch_size=hand.ROWS, adam_epsilon=hand.EPSILON,
        gradient_accumulation_steps=hand.ACCUMULATION, max_length=hand.MAX_LENGTH, seed=hand.SEED,
        weight_decay=hand.WEIGHT_DECAY, max_grad_norm=hand.MAX_GRAD_NORM,
    )  # fmt: skip
    load = Load(out="rows", path=str(tmp_path / "rows.jsonl"), heldout=0)
    done = limbeck.run(Recipe(name="same", steps=(load, step)), tmp_path / "run", progress=Silent())
    one, other = (
        AutoModelForCausalLM.from_pretrained(place) for place in (tmp_path / "by_hand", done.student)
    )
    start = AutoModelForCausalLM.from_pretrained(student)
    moved = 0.0
    for name, weight in one.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], weight, atol=1e-6, rtol=1e-5, msg=name)
        moved = max(moved, float((weight - start.state_dict()[name]).abs().max()))
    assert moved > 1e-3


def test_the_trainer_distils_the_shipped_model(tmp_path):
    metrics = trainer.main(str(tmp_path / "out"), steps=2)
    assert {"eval_loss", "eval_forward_kl", "eval_cross_entropy"} <= set(metrics)
    assert len(AutoTokenizer.from_pretrained(tmp_path / "out")) > 100
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").config.num_hidden_layers > 0
