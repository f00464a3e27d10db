"""Whole runs with several teachers, and what is said of ensembles that cannot be."""

# ruff: noqa: E501  (messages are written out whole)

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import limbeck
from limbeck.core.errors import Interrupted, UserError
from limbeck.core.models import save_model
from limbeck.recipes import Recipe
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.fingerprints import fingerprint_steps
from limbeck.runs.record.progress import Silent
from tests.runs.world import write_rows
from tests.tiny import tiny_llama, tiny_tokenizer

LENGTH = 48
MEANS = ("probabilities", "logits", "losses")


@pytest.fixture(scope="module")
def second(tmp_path_factory) -> str:
    """A teacher of another width and depth with the same tokenizer."""
    folder = tmp_path_factory.mktemp("second") / "wide"
    save_model(tiny_llama(layers=2, width=48, seed=7), tiny_tokenizer(), folder)
    return str(folder)


def recipe(world: Path, teacher, *, steps=(), evaluate=(), **train) -> Recipe:
    start = {"out": "student", "student": str(world / "student"), "teacher": teacher, "rows": "rows.train"}
    settings = {
        "objective": ["forward_kl"],
        "max_steps": 4,
        "per_device_train_batch_size": 4,
        "learning_rate": 1e-3,
        "max_length": LENGTH,
    }
    data = {"out": "rows", "path": str(train.pop("data", world / "texts.jsonl")), "heldout": 6}
    data |= {"columns": train.pop("columns", {})}
    made = [{"load": data}, *steps, {"train": start | settings | train}]
    if evaluate:
        asked = {"model": "student", "teacher": teacher, "rows": "rows.heldout", "metrics": list(evaluate)}
        made.append({"evaluate": asked | {"max_length": LENGTH}})
    return Recipe.from_data({"limbeck": 1, "name": "taught", "steps": made})


def run(made: Recipe, out: Path, progress=None):
    return limbeck.run(made, out, progress=progress or Silent())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "student" / "model.safetensors")


def losses(done) -> list[float]:
    return [json.loads(line)["loss"] for line in (done.folder / "metrics.jsonl").read_text().splitlines()]


def same(first: Path, second: Path, **tolerance) -> None:
    for name, weight in weights(first).items():
        torch.testing.assert_close(weights(second)[name], weight, **tolerance)


def refused(made: Recipe, out: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        run(made, out)
    return [str(problem) for problem in caught.value.problems]


def test_a_run_with_two_teachers_reports_the_loyalty_to_each(world, second, tmp_path, real_report):
    teacher = {"ensemble": [str(world / "teacher"), {"model": second, "weight": 2.0, "temperature": 1.5}]}
    done = limbeck.run(
        "word_kd", tmp_path / "run", progress=Silent(), teacher=teacher, student=str(world / "student"),
        data=str(world / "texts.jsonl"), max_steps=2, per_device_train_batch_size=4, heldout=6,
        max_length=LENGTH,
    )  # fmt: skip
    subjects = {one["name"]: one for one in done.evaluation["subjects"]}
    assert {name: one["role"] for name, one in subjects.items()} == {
        "teacher": "teacher", "teacher_2": "member", "wide": "member", "student": "student",
        "baseline": "baseline",
    }  # fmt: skip
    sizes = {name: one["parameters"] for name, one in subjects.items()}
    assert sizes["teacher"] == sizes["teacher_2"] + sizes["wide"]
    measured = done.evaluation["metrics"]["fidelity"]["subjects"]["student"]
    assert set(measured["members"]) == {"teacher_2", "wide"}
    kls = [one["forward_kl"]["value"] for one in (measured["overall"], *measured["members"].values())]
    # KL to a mean of distributions is convex: below the mean of the KLs (here wide is softened on one side).
    assert kls[0] < max(kls[1:])
    assert set(done.evaluation["metrics"]["generation"]["subjects"]) == {"student", "baseline"}
    page = done.report.read_text(encoding="utf-8")
    assert "Loyalty to each teacher" in page and "wide" in page
    plan, _ = make_plan(done.recipe, tmp_path / "other")
    assert plan.steps[2].teacher_parameters == sizes["teacher"]


@pytest.mark.parametrize("mean", MEANS)
def test_a_teacher_beside_itself_teaches_what_it_teaches_alone(world, tmp_path, mean):
    word = str(world / "teacher")
    run(recipe(world, word), tmp_path / "one")
    run(recipe(world, {"ensemble": [word, {"model": word, "weight": 3.0}], "mean": mean}), tmp_path / "two")
    same(tmp_path / "one", tmp_path / "two", atol=1e-5, rtol=1e-3)


def test_rows_learn_from_the_teacher_that_their_column_names(world, second, tmp_path):
    texts = [json.loads(line) for line in (world / "texts.jsonl").read_text().splitlines()]
    data = tmp_path / "named.jsonl"
    ensemble = [{"model": str(world / "teacher"), "name": "a"}, {"model": second, "name": "b"}]
    routed = {"ensemble": ensemble, "route": {"column": "who"}}
    write_rows(data, [row | {"who": "b"} for row in texts])
    run(recipe(world, second, data=data), tmp_path / "one")
    run(recipe(world, routed, data=data), tmp_path / "all")
    same(tmp_path / "one", tmp_path / "all", atol=1e-5, rtol=1e-3)
    write_rows(data, [row | {"who": "ab"[n % 2]} for n, row in enumerate(texts)])
    done = run(recipe(world, routed, data=data, evaluate=["fidelity"]), tmp_path / "half")
    assert any(
        not torch.allclose(weight, weights(tmp_path / "one")[name], atol=1e-4)
        for name, weight in weights(tmp_path / "half").items()
    )
    measured = done.evaluation["metrics"]["fidelity"]["subjects"]["student"]
    assert set(measured["members"]) == {"a", "b"}


def test_likelihood_routes_a_whole_run_to_the_teacher_that_expects_the_rows(world, tmp_path):
    # Random weights this wide are sure of wrong tokens: all are likelier to one that is sure of nothing.
    dull, sure = tmp_path / "dull", tmp_path / "sure"
    save_model(tiny_llama(layers=1, seed=3, initializer_range=1e-4), tiny_tokenizer(), dull)
    save_model(tiny_llama(layers=1, seed=3, initializer_range=1.0), tiny_tokenizer(), sure)
    run(recipe(world, str(dull)), tmp_path / "alone")
    run(recipe(world, {"ensemble": [str(sure), str(dull)], "route": "likelihood"}), tmp_path / "routed")
    same(tmp_path / "alone", tmp_path / "routed", atol=1e-5, rtol=1e-3)


def test_tasks_have_teachers_of_their_own(world, second, tmp_path):
    data, columns = world / "reasons.jsonl", {"rationale": "llm_rationale"}
    terms = [{"name": "forward_kl", "on": "label"}]
    alone = recipe(world, second, data=data, columns=columns, task="two_task", objective=terms)
    members = [{"model": str(world / "teacher"), "on": "rationale"}, {"model": second, "on": "label"}]
    both = recipe(
        world, {"ensemble": members}, data=data, columns=columns, task="two_task", objective=terms,
        evaluate=["fidelity"],
    )  # fmt: skip
    run(alone, tmp_path / "alone")
    done = run(both, tmp_path / "both")
    same(tmp_path / "alone", tmp_path / "both", atol=1e-5, rtol=1e-3)
    assert done.evaluation["metrics"]["fidelity"]["subjects"]["student"]["overall"]


def captured(world: Path, second: str, payload) -> list[dict]:
    shared = {"rows": "rows.train", "payload": payload, "max_length": LENGTH, "shard_tokens": 128}
    return [
        {"capture": {"out": "first", "teacher": str(world / "teacher"), **shared}},
        {"capture": {"out": "other", "teacher": second, **shared}},
    ]


@pytest.mark.parametrize("mean", MEANS)
def test_stores_of_hidden_states_side_by_side_teach_as_their_models(world, second, tmp_path, mean):
    live = {
        "ensemble": [str(world / "teacher"), {"model": second, "weight": 2.0, "temperature": 2.0}],
        "mean": mean,
    }
    run(recipe(world, live), tmp_path / "live")
    steps = captured(world, second, {"hidden": {"dtype": "float32"}})
    kept = {"ensemble": ["first", {"model": "other", "weight": 2.0, "temperature": 2.0}], "mean": mean}
    made = recipe(world, kept, steps=steps, evaluate=["fidelity"])
    assert made.steps[3].teacher.stores == {"ensemble.0.signals": "first", "ensemble.1.signals": "other"}
    done = run(made, tmp_path / "kept")
    same(tmp_path / "live", tmp_path / "kept", atol=1e-5, rtol=1e-3)
    names = [one["name"] for one in done.evaluation["subjects"] if one["role"] == "member"]
    assert names == ["first", "other"]


def test_topk_stores_that_hold_everything_teach_as_their_models(world, second, tmp_path):
    live = run(recipe(world, {"ensemble": [str(world / "teacher"), second]}), tmp_path / "live")
    steps = captured(world, second, {"topk": {"mass": 0.99999, "max": 255}})
    kept = run(recipe(world, {"ensemble": ["first", "other"]}, steps=steps), tmp_path / "kept")
    # What lies in the tails is one outcome: a lower bound, near where the tails are small.
    assert losses(kept) == pytest.approx(losses(live), rel=3e-2)
    assert all(one < other for one, other in zip(losses(kept), losses(live), strict=True))


class StopAt(Silent):
    """Sends this process a signal after step 3 of the student's training."""

    def trained(self, stage, report) -> None:
        if stage.out == "student" and report.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_that_was_ended_goes_on_to_the_same_student(world, second, tmp_path):
    members = [{"model": str(world / "teacher"), "name": "a"}, {"model": second, "name": "b"}]
    made = recipe(world, {"ensemble": members, "route": "likelihood"}, save_steps=2, max_steps=6)
    run(made, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(made, tmp_path / "ended", StopAt())
    run(made, tmp_path / "ended")
    same(tmp_path / "whole", tmp_path / "ended", atol=0, rtol=0)


def test_another_member_or_weight_makes_a_training_stale(world, second, tmp_path):
    def mark(*members):
        return fingerprint_steps(recipe(world, {"ensemble": list(members)}))[-1]

    word = str(world / "teacher")
    first = mark(word, second)
    assert mark(word, second) == first
    assert mark(word, {"model": second, "weight": 2.0}).value != first.value
    copy = tmp_path / "copy"
    save_model(tiny_llama(layers=2, width=48, seed=7), tiny_tokenizer(), copy)
    before = mark(word, str(copy))
    save_model(tiny_llama(layers=2, width=48, seed=8), tiny_tokenizer(), copy)
    assert mark(word, str(copy)).reads[str(copy)] != before.reads[str(copy)]


def test_everything_that_is_wrong_with_an_ensemble_is_said_in_one_go(world, second, tmp_path):
    teacher = {
        "ensemble": [
            str(world / "teacher"),
            {"model": str(tmp_path / "no"), "on": "label"},
            str(world / "other"),
        ]
    }
    made = recipe(world, teacher)
    data = made.to_data()
    data["steps"][1]["train"]["objective"] = [
        {"name": "state_mse", "layers": {"student": [-1], "teacher": [-1]}}
    ]
    told = refused(Recipe.from_data(data), tmp_path / "run")
    assert any(
        one.startswith("steps.1.train.objective.0: objective state_mse reads teacher_states") for one in told
    )
    assert any(
        one.startswith("steps.1.train.teacher.ensemble.1.on: needs rows of several tasks") for one in told
    )
    told = refused(
        recipe(world, {"ensemble": [str(tmp_path / "no"), str(world / "other")]}), tmp_path / "run"
    )
    assert told[0].startswith("steps.1.train.teacher.ensemble.0.model: model must be an existing folder")
    routed = {"ensemble": [str(world / "teacher"), str(world / "other")], "route": {"column": "who"}}
    told = refused(recipe(world, routed), tmp_path / "run")
    assert told[0].startswith(
        "steps.1.train.teacher.ensemble.1.model: student and teacher must give each token"
    )
    assert "steps.1.train.teacher.route.column: unknown column 'who'. Allowed: id, text." in told


def test_what_a_topk_store_cannot_do_is_said_before_anything_starts(world, second, tmp_path):
    steps = captured(world, second, {"topk": {"mass": 0.99, "max": 8}})
    mixed = {"ensemble": [{"model": "first", "temperature": 2.0}, second], "route": "likelihood"}
    told = refused(recipe(world, mixed, steps=steps), tmp_path / "run")
    assert told == [
        "steps.3.train.teacher.ensemble.0.temperature: must be 1 with a top-k store, got 2.",
        "steps.3.train.teacher.route: must be {column: NAME} with top-k stores, which do not know every likelihood.",
        "steps.3.train.teacher.mean: must be losses with top-k stores beside other teachers, got probabilities.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (
            {"generate": {"out": "w", "rows": "rows.train"}},
            "generate.teacher: lets its teacher write, and an ensemble of 2 gives distributions",
        ),
        (
            {"capture": {"out": "w", "rows": "rows.train"}},
            "capture.teacher: keeps what one model says, and an ensemble of 2 gives distributions",
        ),
    ],
)
def test_one_model_writes_and_is_captured(world, second, tmp_path, step, said):
    ((kind, fields),) = step.items()
    ensemble = {"ensemble": [str(world / "teacher"), second]}
    made = recipe(world, ensemble, steps=[{kind: fields | {"teacher": ensemble}}])
    assert any(said in one for one in refused(made, tmp_path / "run"))


def test_members_and_settings_that_contradict_are_refused_where_they_are_said(world):
    with pytest.raises(UserError) as caught:
        recipe(world, {"ensemble": ["a", {"ensemble": ["b"]}, {"model": "c", "signals": "d"}], "mean": "sum"})
    told = [str(problem) for problem in caught.value.problems]
    assert [one.split(":")[0] for one in told] == [
        "steps.1.train.teacher.ensemble.1", "steps.1.train.teacher.ensemble.2", "steps.1.train.teacher.mean"
    ]  # fmt: skip
    for teacher, said in (
        ({"model": "a", "mean": "logits"}, "mean goes with ensemble"),
        ({"ensemble": ["a"], "noise": 1.0}, "noise goes with model"),
        ({"ensemble": [{"model": "a", "noise": 1.0}]}, "noise must be 0 in an ensemble"),
        ({"ensemble": ["a", "a"], "route": {"column": "x"}}, "members must have different names"),
        (
            {"ensemble": ["a", {"model": "b", "weight": 2}], "route": "likelihood"},
            "weight and on must be left out",
        ),
        ({"ensemble": ["a", "b"], "route": "loudest"}, "must be likelihood or {column: NAME}, got 'loudest'"),
        ({"ensemble": [{"model": "a", "weight": 0}]}, "a member with a weight above 0"),
    ):
        with pytest.raises(UserError, match=said.replace("{", r"\{").replace("}", r"\}")):
            recipe(world, teacher)


def test_an_ensemble_survives_yaml(world, second):
    members = [{"model": "a", "name": "x"}, {"model": "b", "temperature": 2.0}]
    made = recipe(world, {"ensemble": members, "route": {"column": "who"}, "mean": "losses"})
    assert Recipe.from_yaml(made.to_yaml()) == made
    assert "ensemble: [{model: a, name: x}, {model: b, temperature: 2.0}]" in made.to_yaml()


def test_the_example_of_the_page_runs(world, second, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "ensembles.md").read_text(encoding="utf-8")
    text = page.split("```yaml\n")[1].split("```")[0]
    places = {
        "rows.jsonl": "texts.jsonl",
        "STUDENT": "student",
        "TEACHER": "teacher",
    }
    for word, name in places.items():
        text = text.replace(word, str(world / name))
    text = text.replace("OTHER", second).replace("heldout: 0.05", "heldout: 6")
    made = Recipe.from_yaml(text)
    settings = {"steps.1.train.max_steps": 1, "steps.1.train.max_length": LENGTH}
    done = limbeck.run(made, tmp_path / "run", progress=Silent(), **settings)
    assert done.evaluation["metrics"]["fidelity"]["subjects"]["student"]["members"]
