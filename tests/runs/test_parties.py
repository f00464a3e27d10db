"""Models that a recipe trains beside the student: each as if it were alone, saved, resumed, planned."""

import json
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import limbeck
from limbeck.core.errors import Interrupted, LimbeckError
from limbeck.recipes.check import check
from limbeck.recipes.model import Recipe
from limbeck.recipes.parties import TrainedParty
from limbeck.recipes.students import CutStudent
from limbeck.runs.checking import plan
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.on_policy import changed, tiny_recipe
from tests.runs.test_on_policy_resume import StopAt

# Reverse roles: the critic learns the data and the teacher, while the student slides towards the teacher.
CRITIC = {
    "objective": [{"name": "cross_entropy", "weight": 0.5}, {"name": "forward_kl", "weight": 0.5}],
    "learning_rate": 2e-3,
}


def trained_alone(world: Path, **fields) -> Recipe:
    recipe = tiny_recipe("taid", world, baseline=False, max_steps=4)
    return changed(recipe.model_copy(update={"steps": recipe.steps[:-1]}), "student", **fields)


def with_critic(world: Path, model: object = None, **settings) -> Recipe:
    named = {**CRITIC, "model": model or {"cut": str(world / "teacher"), "layers": 1}, **settings}
    return trained_alone(world, parties={"critic": TrainedParty(**named)})


def run(recipe: Recipe, out: Path, progress: Silent | None = None) -> Path:
    done = limbeck.run(recipe, out, progress=progress or Silent())
    (folder,) = (done.folder / "steps").glob("*-train-student")
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_student_and_critic_are_trained_as_if_each_were_alone(world, tmp_path):
    both = run(with_critic(world), tmp_path / "both")
    student = run(trained_alone(world), tmp_path / "student")
    terms = TrainedParty(**CRITIC, model="m").objective
    made = CutStudent(cut=str(world / "teacher"), layers=1)
    fields = {"student": made, "objective": terms, "learning_rate": 2e-3, "max_grad_norm": 1.0}
    critic = run(trained_alone(world, **fields), tmp_path / "critic")
    assert same(weights(both / "model"), weights(student / "model"))
    assert same(weights(both / "parties" / "critic"), weights(critic / "model"))
    beside, alone = lines(both), lines(critic)
    assert [line["parties"]["critic/loss"] for line in beside] == [line["loss"] for line in alone]
    assert [line["parties"]["critic/grad_norm"] for line in beside] == [line["grad_norm"] for line in alone]
    AutoModelForCausalLM.from_pretrained(both / "parties" / "critic")


def test_a_critic_that_asks_the_student_starts_at_no_distance_from_its_copy(world, tmp_path):
    terms = [{"name": "forward_kl"}]
    critic = {"model": str(world / "student"), "objective": terms, "teacher": "student"}
    found = lines(run(with_critic(world, **critic), tmp_path / "run"))
    assert found[0]["parties"]["critic/forward_kl"] == pytest.approx(0, abs=1e-6)
    assert found[-1]["parties"]["critic/forward_kl"] > 1e-5  # the student has moved on


def test_a_party_learns_in_its_turns_alone(world, tmp_path):
    found = lines(run(with_critic(world, turn={"every": 3}), tmp_path / "run"))
    assert [line["step"] for line in found if "parties" in line] == [1, 4]


def test_adapters_leave_the_frozen_model_as_it_was(world, tmp_path):
    folder = run(with_critic(world, str(world / "teacher"), lora_r=2), tmp_path / "run")
    frozen, saved = weights(world / "teacher"), weights(folder / "parties" / "critic")
    assert frozen.keys() == saved.keys()  # merged into a plain model
    assert torch.equal(saved["model.embed_tokens.weight"], frozen["model.embed_tokens.weight"])
    assert not same(saved, frozen)


def test_a_killed_training_ends_in_the_same_weights_of_both(world, tmp_path):
    recipe = changed(with_critic(world), "student", save_steps=1)
    whole = run(recipe, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(recipe, tmp_path / "cut", StopAt(2, signal.SIGTERM))
    cut = run(recipe, tmp_path / "cut")
    for part in ("model", "parties/critic"):
        assert same(weights(cut / part), weights(whole / part))


def test_its_loss_is_among_the_curves_of_the_report(world, tmp_path, real_report):
    recipe = tiny_recipe("taid", world, baseline=False, max_steps=4)
    critic = TrainedParty(**CRITIC, model=str(world / "student"))
    done = limbeck.run(
        changed(recipe, "student", parties={"critic": critic}), tmp_path / "run", progress=Silent()
    )
    curves = json.loads((done.folder / "validation.json").read_text())["student"]["curves"]
    assert [step for step, _ in curves["critic/loss"]] == [1, 2, 3, 4]
    assert "critic/loss" in (done.folder / "report.html").read_text()


def test_the_plan_counts_it(world, tmp_path, monkeypatch):
    # Of tiny models the time is noise: one measurement for both.
    rates = plan.machine_rates()
    monkeypatch.setattr(plan, "machine_rates", lambda: rates)
    alone, both = (make_plan(one, tmp_path)[0] for one in (trained_alone(world), with_critic(world)))
    before, after = (next(one for one in made.steps if one.kind == "train") for made in (alone, both))
    said = [note for note in after.notes if note.startswith("critic: ")]
    size = int(said[0].split()[1].replace(",", ""))
    # Weights, gradients and two moments in float32, and what is kept for the backward pass.
    assert after.memory - before.memory > 16 * size
    assert after.disk - before.disk == 4 * size
    assert after.seconds > before.seconds


def test_the_recipe_survives_yaml(world):
    recipe = with_critic(world, turn={"every": 2}, teacher="student")
    assert Recipe.from_yaml(recipe.to_yaml()) == recipe


def test_what_does_not_go_together_is_said_with_its_place(world):
    def said(recipe: Recipe) -> str:
        return "\n".join(map(str, check(recipe)))

    wrong = [{"name": "cross_entropy", "on": "student"}, {"name": "cross_entropy", "weighted_by": "luck"}]
    found = said(with_critic(world, objective=wrong))
    assert "parties.critic.objective.0.on: needs `task` or `rollouts`" in found
    assert "parties.critic.objective.1.weighted_by: must be one of" in found
    pruned = {"prune": "M", "ratio": 0.5}
    assert "parties.critic.model: must be taken as it is" in said(with_critic(world, pruned))
    named = {"student": TrainedParty(**CRITIC, model=str(world / "student"))}
    assert "parties.student: must be called" in said(trained_alone(world, parties=named))
    untaught = changed(with_critic(world), "student", teacher=None)
    assert "parties.critic.objective.1: objective forward_kl reads teacher_logits" in said(untaught)


def test_a_model_with_another_tokenizer_is_refused_before_anything_is_spent(world, tmp_path):
    with pytest.raises(LimbeckError) as caught:
        make_plan(with_critic(world, str(world / "other")), tmp_path)
    assert "parties.critic.model" in str(caught.value)
