"""The adapter for transformers.Trainer takes the engine's step."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, TrainerCallback, TrainingArguments

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import ConfigError
from limbeck.core.term import Trainable
from limbeck.engine import Party, train
from limbeck.engine.hf_trainer import DistilTrainer
from limbeck.engine.order import Shuffles
from limbeck.objectives.criterion import Criterion
from limbeck.schedules.scheduled import scheduled
from tests.engine.world import VOCABULARY, Rows, student_party
from tests.tiny import tiny_llama


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
    train([looped], Rows(), folder=tmp_path / "loop")
    adapted = student_party()
    DistilTrainer(adapted, Rows(), args=arguments(tmp_path / "hf")).train()
    for one, other in zip(looped.model.parameters(), adapted.model.parameters(), strict=True):
        torch.testing.assert_close(other, one, atol=1e-6, rtol=1e-5)


def test_saves_a_folder_that_transformers_loads(tmp_path: Path) -> None:
    party = student_party()
    trainer = DistilTrainer(party, Rows(), args=arguments(tmp_path, max_steps=1))
    trainer.train()
    trainer.save_model()
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    for name, weight in party.model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight)


def test_refuses_a_missing_teacher_and_smoothed_labels(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="answer must be given"):
        DistilTrainer(replace(student_party(), answer=None), Rows(), args=arguments(tmp_path))
    with pytest.raises(ConfigError, match=r"label_smoothing_factor must be 0, got 0\.1"):
        wrong = arguments(tmp_path, label_smoothing_factor=0.1)
        DistilTrainer(student_party(), Rows(), args=wrong)


class Seen(Rows):
    """Remembers what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[int]] = []

    def batch(self, indices):
        self.asked.append(list(indices))
        return super().batch(indices)


def test_steps_run_on_across_epochs_in_the_engines_order_and_number(tmp_path: Path) -> None:
    rows, changed = Seen(), {"max_steps": -1, "num_train_epochs": 2.5, "per_device_train_batch_size": 5}
    args = arguments(tmp_path, **{**changed, "gradient_accumulation_steps": 2})
    trainer = DistilTrainer(student_party(), rows, args=args)
    trainer.train()
    steps = -(-int(2.5 * 24) // 10)
    assert trainer.state.global_step == steps and args.max_steps == -1
    shuffles = Shuffles(24, 0)
    assert rows.asked[: 2 * steps] == [shuffles.take(5 * k, 5) for k in range(2 * steps)]


def learning_party(**settings: object) -> Party:
    """A learnt temperature with a rate of its own, and a weight that follows the loss."""
    party = student_party(**{"max_grad_norm": 0.5, **settings})
    module = catalogue("objectives/trainable")["temperature"].load()()
    trainable = Trainable(module, learning_rate=0.05, gradient_scale=-0.5)
    weight = scheduled({"schedule": "adaptive_interpolation", "start": 0.1, "stop": 1.0, "rate": 5.0})
    terms = [replace(party.criterion.terms[0], trainable=trainable, weight=weight), party.criterion.terms[1]]
    return replace(party, criterion=Criterion(terms))


def all_weights(party: Party) -> list[torch.Tensor]:
    trainable = party.criterion.terms[0].trainable
    return [*party.model.parameters(), *(() if trainable is None else trainable.module.parameters())]


def assert_equal(one: Party, other: Party) -> None:
    for mine, theirs in zip(all_weights(one), all_weights(other), strict=True):
        torch.testing.assert_close(theirs, mine, atol=1e-6, rtol=1e-5)


def test_what_terms_learn_has_its_own_rate_and_schedules_see_each_step(tmp_path: Path) -> None:
    settings = {"max_steps": 3, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2}
    looped, adapted = learning_party(**settings), learning_party()
    train([looped], Rows(), folder=tmp_path / "loop")
    args = arguments(tmp_path / "hf", **settings, max_grad_norm=0.5)
    DistilTrainer(adapted, Rows(), args=args).train()
    one, other = (party.criterion.terms[0].weight.state_dict() for party in (looped, adapted))
    assert one == pytest.approx(other, abs=1e-6)
    assert_equal(looped, adapted)


def test_a_resumed_training_ends_where_a_whole_one_does(tmp_path: Path) -> None:
    changed = {"save_strategy": "steps", "save_steps": 2, "max_steps": 5, "gradient_accumulation_steps": 2}
    whole, cut, resumed = learning_party(), learning_party(), learning_party()
    args = arguments(tmp_path / "whole", **changed)
    DistilTrainer(whole, Rows(), args=args).train()
    args = arguments(tmp_path / "cut", **changed)
    DistilTrainer(cut, Rows(), args=args, options={"callbacks": [StopAfterFour()]}).train()
    trainer = DistilTrainer(resumed, Rows(), args=args)
    trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 5
    assert_equal(whole, resumed)


class StopAfterFour(TrainerCallback):
    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop |= state.global_step == 4


def test_the_held_out_loss_is_a_mean_over_all_tokens_however_they_are_batched(tmp_path: Path) -> None:
    party, found = student_party(), []
    for size in (5, 24):
        args = arguments(tmp_path, per_device_eval_batch_size=size)
        trainer = DistilTrainer(party, Rows(), args=args, held_out=Rows())
        found.append(trainer.evaluate())
    batch = Rows().batch(range(24))
    student = party.model(**batch.inputs).logits.log_softmax(-1)
    teacher = tiny_llama(vocab=VOCABULARY, width=48, seed=2)(**batch.inputs).logits.log_softmax(-1)
    loss_mask = batch.targets != -100
    kl = (teacher.exp() * (teacher - student)).sum(-1)[loss_mask].mean()
    cross = torch.nn.functional.cross_entropy(student[loss_mask], batch.targets[loss_mask])
    for metrics in found:
        assert metrics["eval_forward_kl"] == pytest.approx(float(kl.detach()), rel=1e-5)
        assert metrics["eval_loss"] == pytest.approx(float((0.7 * kl + 0.3 * cross).detach()), rel=1e-5)


def test_gradient_checkpointing_takes_the_same_step(tmp_path: Path) -> None:
    plain, checkpointed = student_party(), student_party()
    for party, changed in ((plain, {}), (checkpointed, {"gradient_checkpointing": True})):
        args = arguments(tmp_path, max_steps=1, **changed)
        DistilTrainer(party, Rows(), args=args).train()
    assert_equal(plain, checkpointed)
