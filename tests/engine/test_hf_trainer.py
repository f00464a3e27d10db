"""The adapter for transformers.Trainer takes the engine's step."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, TrainingArguments

from limbeck.core.errors import ConfigError
from limbeck.engine import train
from limbeck.engine.hf_trainer import DistilTrainer
from tests.engine.world import Rows, student_party, teacher_answer


def arguments(folder: Path, **changed: object) -> TrainingArguments:
    settings = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 2,
        "gradient_accumulation_steps": 4,
        "max_steps": 2,
        "learning_rate": 0.01,
        "lr_scheduler_type": "cosine",
        "max_grad_norm": 0.0,
        "adam_beta2": 0.95,
        "adam_epsilon": 0.01,
        "seed": 0,
        "report_to": [],
        "remove_unused_columns": False,
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
    }
    return TrainingArguments(**{**settings, **changed})


def test_two_steps_of_the_adapter_equal_two_steps_of_the_loop(tmp_path: Path) -> None:
    looped = student_party(max_steps=2, per_device_train_batch_size=2, gradient_accumulation_steps=4)
    train([looped], Rows(), answer=teacher_answer, folder=tmp_path / "loop")
    adapted = student_party()
    DistilTrainer(adapted, Rows(), answer=teacher_answer, args=arguments(tmp_path / "hf")).train()
    for one, other in zip(looped.model.parameters(), adapted.model.parameters(), strict=True):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-5)


def test_saves_a_folder_that_transformers_loads(tmp_path: Path) -> None:
    party = student_party()
    trainer = DistilTrainer(party, Rows(), answer=teacher_answer, args=arguments(tmp_path, max_steps=1))
    trainer.train()
    trainer.save_model()
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    for name, weight in party.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)


def test_refuses_a_missing_teacher_and_dropped_columns(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="answer must be given"):
        DistilTrainer(student_party(), Rows(), answer=None, args=arguments(tmp_path))
    with pytest.raises(ConfigError, match="remove_unused_columns must be False"):
        wrong = arguments(tmp_path, remove_unused_columns=True)
        DistilTrainer(student_party(), Rows(), answer=teacher_answer, args=wrong)
