"""On-policy and feedback recipes end to end, their plans, and what their metrics say."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

import limbeck
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.on_policy import INPUTS, changed, tiny_recipe

TERMS = {
    "gkd": {"jsd"},
    "on_policy": {"policy_gradient_student"},
    "distillm": {"skew_forward_kl"},
    "distillm2": {"skew_forward_kl_data", "skew_reverse_kl_student"},
    "minillm": {"policy_gradient_student", "reverse_kl_student", "cross_entropy_data"},
    "semantic_revision": {"cross_entropy_data", "clipped_kl", "span_relation"},
    "taid": {"taid"},
    "ctkd": {"forward_kl"},
    "ddk": {"cross_entropy", "forward_kl"},
}
WATCHED = {
    "distillm": {"validation_loss"},
    "semantic_revision": {"validation_loss"},
    "ddk": {"validation_loss"} | {f"{what}_{name}" for what in ("gap", "perplexity") for name in "abc"},
}


def run(recipe, out: Path):
    evaluated = changed(recipe, "evaluation", metrics=("perplexity",))
    return limbeck.run(evaluated, out, progress=Silent())


def lines_of(done, phase: str = "student") -> list[dict]:
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if line["phase"] == phase]


@pytest.mark.parametrize("name", INPUTS)
def test_a_recipe_makes_a_student_beside_its_baseline(world, tmp_path, name):
    done = run(tiny_recipe(name, world, max_steps=2), tmp_path / "run")
    AutoModelForCausalLM.from_pretrained(done.student)
    subjects = {subject["name"] for subject in done.evaluation["subjects"]}
    assert subjects == {"student", "teacher", "baseline"}
    lines = lines_of(done)
    assert [line["step"] for line in lines] == [1, 2]
    for line in lines:
        assert set(line["terms"]) == TERMS[name]
        assert set(line.get("validation", {})) == WATCHED.get(name, set())
    # Rollouts and checkpoints are gone with the step that needed them.
    assert not list(done.folder.rglob("rollouts"))
    assert not list(done.folder.rglob("checkpoint"))


def test_students_learn_a_little_first_if_asked(world, tmp_path):
    done = run(tiny_recipe("gkd", world, max_steps=1, sft_steps=2, on_policy=1.0), tmp_path / "run")
    assert len(lines_of(done, "warmed")) == 2
    assert len(lines_of(done)) == 1


def test_minillm_learns_from_a_corpus_of_its_own(world, tmp_path):
    done = run(
        tiny_recipe("minillm", world, max_steps=1, corpus=str(world / "texts.jsonl")), tmp_path / "run"
    )
    assert "cross_entropy_corpus" in lines_of(done)[0]["terms"]


@pytest.mark.parametrize("name", ["minillm", "distillm2", "taid", "ctkd"])
def test_what_the_authors_released_runs_too(world, tmp_path, name):
    run(tiny_recipe(name, world, max_steps=1, compat="released", baseline=False), tmp_path / "run")


def test_full_signal_and_ratios_of_the_sampled_one_are_there(world, tmp_path):
    done = run(tiny_recipe("on_policy", world, max_steps=1, signal="full", baseline=False), tmp_path / "run")
    assert set(lines_of(done)[0]["terms"]) == {"reverse_kl_student"}


@pytest.mark.parametrize("name", INPUTS)
def test_a_plan_counts_what_is_written(world, tmp_path, name):
    plan, _ = make_plan(tiny_recipe(name, world), tmp_path)
    (student,) = (step for step in plan.steps if step.out == "student")
    said = [note for note in student.notes if note.startswith("Rollouts generate at most")]
    # 5 steps of 4 rows of 5 tokens; half of them in gkd and DistiLLM (its fresh ones get fewer);
    # 2 rounds of 8 rows in MiniLLM; a correction may write an answer twice.
    tokens = {"gkd": 50, "on_policy": 100, "distillm": 50, "distillm2": 100, "minillm": 80}
    tokens["semantic_revision"] = 2 * tokens["distillm"]
    assert said == (
        [f"Rollouts generate at most {tokens[name]} tokens by the student; this is part of the time."]
        if name in tokens
        else []
    )
    if name == "ddk":
        assert "rows, 9 for validation, 4 held out" in plan.steps[0].what
    more, _ = make_plan(tiny_recipe(name, world), tmp_path)
    assert more.memory == plan.memory
