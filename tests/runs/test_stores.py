"""Recipes that capture a teacher and train from the store."""

import json
import shutil

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

import limbeck
from limbeck.cli.app import app
from limbeck.core.errors import UserError
from limbeck.recipes import Recipe
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.world import write_rows

LENGTH = 48


def recipe(
    world, *, payload, teacher="signals", capture=None, train=None, data="texts", evaluate=False
) -> Recipe:
    steps = [
        {"load": {"out": "rows", "path": str(world / f"{data}.jsonl"), "heldout": 6}},
        {"capture": {"out": "signals", "teacher": str(world / "teacher"), "rows": "rows.train",
                     "payload": payload, "max_length": LENGTH, "shard_tokens": 128, **(capture or {})}},
        {"train": {"out": "student", "student": str(world / "student"), "teacher": teacher,
                   "rows": "rows.train", "objective": [{"name": "forward_kl"}], "max_steps": 4,
                   "per_device_train_batch_size": 4, "learning_rate": 1e-3, "max_length": LENGTH,
                   **(train or {})}},
    ]  # fmt: skip
    if payload is None:
        del steps[1]
    if evaluate:
        measured = {"model": "student", "teacher": teacher, "rows": "rows.heldout", "metrics": ["fidelity"]}
        steps.append({"evaluate": {**measured, "max_length": LENGTH}})
    return Recipe.from_data({"limbeck": 1, "name": "stored", "steps": steps})


def run(made: Recipe, out):
    return limbeck.run(made, out, progress=Silent())


def weights(done) -> dict[str, torch.Tensor]:
    return load_file(done.student / "model.safetensors")


def losses(done) -> list[float]:
    return [json.loads(line)["loss"] for line in (done.folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("packing", [True, False])
def test_hidden_states_teach_what_the_live_teacher_teaches(world, tmp_path, packing):
    train = {"packing": packing}
    payload = {"hidden": {"dtype": "float32"}}
    live = run(recipe(world, payload=None, teacher=str(world / "teacher"), train=train), tmp_path / "live")
    kept = run(recipe(world, payload=payload, train=train), tmp_path / "stored")
    assert losses(kept) == pytest.approx(losses(live), rel=1e-4)
    for name, weight in weights(live).items():
        torch.testing.assert_close(weights(kept)[name], weight, atol=2e-4, rtol=1e-3)


def test_a_support_of_everything_teaches_nearly_what_the_live_teacher_teaches(world, tmp_path):
    live = run(recipe(world, payload=None, teacher=str(world / "teacher")), tmp_path / "live")
    payload = {"topk": {"mass": 1.0, "max": 255}}
    kept = run(recipe(world, payload=payload), tmp_path / "stored")
    assert losses(kept) == pytest.approx(losses(live), rel=2e-2)


def test_answers_of_two_tasks_and_of_seq2seq_models_are_stored(world, tmp_path):
    student = {"fresh": str(world / "t5"), "sizes": {"d_ff": 16}}
    train = {"student": student, "packing": False, "max_target_length": 32}
    capture = {"teacher": str(world / "t5"), "max_target_length": 32}
    live = recipe(world, payload=None, teacher=str(world / "t5"), train=train, data="answers")
    payload = {"hidden": {"dtype": "float32"}}
    kept = recipe(world, payload=payload, capture=capture, train=train, data="answers")
    assert losses(run(kept, tmp_path / "a")) == pytest.approx(losses(run(live, tmp_path / "b")), rel=1e-4)


def test_one_store_serves_several_runs_and_is_shown(world, tmp_path):
    runner, folder = CliRunner(), tmp_path / "store"
    words = ["capture", str(world / "teacher"), "--data", str(world / "texts.jsonl"), "--out", str(folder)]
    words += [f"max_length={LENGTH}", "payload.topk.max=32"]
    made = runner.invoke(app, words)
    assert made.exit_code == 0, made.output
    assert "payload" in made.output and "max: 32" in made.output
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert runner.invoke(app, words).exit_code == 0
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    shown = runner.invoke(app, ["signals", "show", str(folder), "--json"])
    assert json.loads(shown.output)["rows"] == 24
    for name in ("forward_kl", "reverse_kl"):
        train = {"objective": [{"name": name}]}
        done = run(
            recipe(world, payload=None, teacher={"signals": str(folder)}, train=train), tmp_path / name
        )
        assert len(losses(done)) == 4


def test_a_rehearsal_says_bytes_and_kl(world):
    words = ["signals", "rehearse", str(world / "teacher"), "--data", str(world / "texts.jsonl"), "--json"]
    done = CliRunner().invoke(app, [*words, f"max_length={LENGTH}"])
    assert done.exit_code == 0, done.output
    found = {json.dumps(one["payload"]): one for one in json.loads(done.output)}
    supports = [one for one in found.values() if "topk" in one["payload"]]
    assert all(one["kept_kl"] <= 1e-4 for one in supports)
    by_size = sorted(supports, key=lambda one: one["ids"])
    assert [one["full_kl"] for one in by_size] == sorted((one["full_kl"] for one in by_size), reverse=True)
    rounded = {one["payload"]["hidden"]["dtype"]: one for one in found.values() if "hidden" in one["payload"]}
    assert rounded["bfloat16"]["full_kl"] < rounded["int8"]["full_kl"] < by_size[0]["full_kl"]


def test_evaluation_asks_the_model_that_was_captured(world, tmp_path):
    made = recipe(world, payload={"topk": {}}, evaluate=True)
    assert made.steps[2].teacher.signals == "signals"
    assert made.steps[3].teacher.model == str(world / "teacher")
    assert Recipe.from_yaml(made.to_yaml()) == made
    done = run(made, tmp_path / "run")
    assert done.evaluation is not None


def test_a_plan_predicts_the_bytes(world, tmp_path):
    made = recipe(world, payload={"topk": {"max": 64}})
    plan, _ = make_plan(made, tmp_path / "run")
    run(made, tmp_path / "run")
    shards = (tmp_path / "run/steps/1-capture-signals").rglob("shard-*.arrow")
    table = sum(len(column.as_py() or b"") for path in shards for column in _streams(path))
    assert table <= plan.steps[1].disk <= 2 * table


def _streams(path):
    table = pa.ipc.open_file(str(path)).read_all()
    return [value for name in ("codes", "levels", "classes", "counts") for value in table[name]]


STATES = {"name": "state_mse", "layers": {"student": [-1], "teacher": [-1]}}
REFUSED = [
    ({"payload": {"topk": {}}, "train": {"objective": [{"name": "forward_kl", "temperature": 2.0}]}},
     "temperature must be 1 with a stored top-k teacher"),
    ({"payload": {"topk": {}}, "capture": {"max_length": 12}}, "must read the rows as steps.1.capture does"),
    ({"payload": {"topk": {}}, "train": {"objective": [STATES]}},
     "objective state_mse reads teacher_states, and the store 'signals' gives distributions"),
    ({"payload": {"topk": {}}, "train": {"rows": "rows.heldout"}}, "must be the rows of the store 'signals'"),
    ({"payload": {"topk": {}, "hidden": {}}}, "must have exactly one of topk and hidden"),
    ({"payload": {"topk": {}}, "train": {"student": "other"}}, "student and teacher must"),
    ({"payload": {"topk": {}}, "teacher": {"signals": "rows"}}, "must be a store, got 'rows'"),
    ({"payload": {"topk": {}}, "teacher": {"signals": "nowhere"}}, "must be a folder, got nowhere"),
    ({"payload": {"topk": {}}, "capture": {"teacher": {"signals": "x"}}},
     "keeps what one model says, and the store 'x' gives distributions"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), REFUSED)
def test_what_a_store_cannot_do_is_said_before_anything_runs(world, tmp_path, changes, said):
    if changes.get("train", {}).get("student") == "other":
        changes = changes | {"train": {"student": str(world / "other")}}
    with pytest.raises(UserError) as error:
        run(recipe(world, **changes), tmp_path / "run")
    assert said in str(error.value)
    assert not (tmp_path / "run").exists()


def test_temperature_is_open_to_hidden_states(world, tmp_path):
    train = {"objective": [{"name": "forward_kl", "temperature": 2.0}]}
    run(recipe(world, payload={"hidden": {}}, train=train), tmp_path / "run")


def test_another_template_and_other_data_are_told_apart(world, tmp_path):
    folder = tmp_path / "store"
    rows = [{"messages": [{"role": "user", "content": f"the cat {n}"},
                          {"role": "assistant", "content": f"sat on {n}"}]} for n in range(12)]  # fmt: skip
    write_rows(tmp_path / "chat.jsonl", rows)
    write_rows(tmp_path / "other.jsonl", [*rows, {"messages": [
        {"role": "user", "content": "the dog"}, {"role": "assistant", "content": "sat"}]}])  # fmt: skip
    words = ["capture", str(world / "teacher"), "--data", str(tmp_path / "chat.jsonl"), "--out", str(folder)]
    assert CliRunner().invoke(app, [*words, f"max_length={LENGTH}"]).exit_code == 0
    student = tmp_path / "student"
    shutil.copytree(world / "student", student)
    template = student / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|", "[").replace("|>", "]"))

    def training(path, student, view="own") -> Recipe:
        teacher = {"signals": str(folder), "view": view}
        made = recipe(world, payload=None, teacher=teacher, train={"student": str(student)})
        data = made.to_data()
        data["steps"][0]["load"] |= {"path": str(path), "heldout": 0}
        return Recipe.from_data(data)

    with pytest.raises(UserError, match="captured with another chat template"):
        run(training(tmp_path / "chat.jsonl", student, view="student"), tmp_path / "a")
    with pytest.raises(UserError, match=r"not in it of 13 .* captured with other data"):
        run(training(tmp_path / "other.jsonl", world / "student"), tmp_path / "b")
    run(training(tmp_path / "chat.jsonl", world / "student"), tmp_path / "c")
    run(training(tmp_path / "chat.jsonl", student), tmp_path / "d")
