"""Captures from a server: planned, probed, kept, resumed without asking twice, and trained from."""

import json
from pathlib import Path
from typing import Any

import pytest

import limbeck
from limbeck.cli.signals import capture_command
from limbeck.core.errors import ConfigError, LimbeckError, StoreError, VocabularyError
from limbeck.recipes import Recipe
from limbeck.runs.assembly.measured_teachers import with_measured_teachers
from limbeck.runs.checking.plan import make_plan
from limbeck.signals.manifest import Manifest
from tests.runs.scoring_server import scoring_server
from tests.runs.world import make_world

READ = {"max_length": 48}
PAYLOAD = {"topk": {"mass": 0.999, "max": 16}}


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def server(world):
    with scoring_server(world / "teacher") as found:
        yield found


def teacher(server, world: Path, **fields: Any) -> dict[str, Any]:
    named = {"endpoint": server.url, "model": "served", "tokenizer": str(world / "teacher")}
    return {**named, "workers": 4, **fields}


def recipe(world: Path, asked: Any, train: bool = True, **fields: Any) -> Recipe:
    steps: list[dict[str, Any]] = [
        {"load": {"out": "rows", "path": str(world / "answers.jsonl"), "heldout": 2}},
        {"capture": {
            "out": "signals", "teacher": asked, "rows": "rows.train", "payload": PAYLOAD, "shard_tokens": 128,
            **READ, **fields,
        }},
    ]  # fmt: skip
    if train:
        steps.append({"train": {
            "out": "student", "student": str(world / "student"), "teacher": "signals", "rows": "rows.train",
            "max_steps": 6, "learning_rate": 1e-2, "objective": [{"name": "forward_kl"}], **READ,
        }})  # fmt: skip
    return Recipe.from_data({"limbeck": 1, "name": "served", "steps": steps})


def losses(folder: Path) -> list[float]:
    lines = next(folder.rglob("metrics.jsonl")).read_text().splitlines()
    return [row["loss"] for row in map(json.loads, lines) if "loss" in row]


def measured_beside(world: Path, run: Path) -> str | None:
    """The model that an evaluation compares with, where the teacher is the store of a run."""
    store = {"signals": str(next(run.rglob("manifest.json")).parent)}
    made = Recipe.from_data({"limbeck": 1, "name": "measured", "steps": [
        {"load": {"out": "rows", "path": str(world / "answers.jsonl"), "heldout": 2}},
        {"evaluate": {
            "model": str(world / "student"), "teacher": store, "rows": "rows.heldout",
            "metrics": ["perplexity"],
        }},
    ]})  # fmt: skip
    teacher = with_measured_teachers(made).steps[1].teacher
    return None if teacher is None else teacher.word


def said(run: Path) -> str:
    """All notes of the steps of a run."""
    return " ".join(note for path in run.rglob("done.json") for note in json.loads(path.read_text())["notes"])


def test_a_student_learns_from_the_server_what_it_learns_from_the_model(world, server, tmp_path):
    limbeck.run(recipe(world, teacher(server, world)), out=tmp_path / "served")
    local = {"topk": {**PAYLOAD["topk"], "draws": 0}}
    limbeck.run(recipe(world, str(world / "teacher"), payload=local), out=tmp_path / "local")
    found, expected = losses(tmp_path / "served"), losses(tmp_path / "local")
    assert found == pytest.approx(expected, abs=1e-4) and found[0] != found[-1]
    assert measured_beside(world, tmp_path / "served") is None
    manifest = Manifest.read(next((tmp_path / "served").rglob("manifest.json")).parent)
    assert manifest.origin == {
        "endpoint": server.url, "model": "served", "label": "", "served_model": "served", "logprobs": "raw",
        "ids": 16,
    }  # fmt: skip
    assert manifest.payload.topk.draws == 0 and "served at 127.0.0.1" in manifest.identity.teacher
    assert "raw log-probabilities; the same prompt again differs by 0 nats" in said(tmp_path / "served")


def test_how_far_the_server_is_from_a_local_copy_is_measured_and_must_be_little(world, server, tmp_path):
    asked = teacher(server, world)
    limbeck.run(recipe(world, asked, False, local=str(world / "teacher")), out=tmp_path / "same")
    origin = Manifest.read(next((tmp_path / "same").rglob("manifest.json")).parent).origin
    assert 0 <= origin["kl_from_local"] < 1e-6 and origin["local"] == str(world / "teacher")
    with pytest.raises(StoreError, match=r"within 0.1 nats of the local copy"):
        limbeck.run(recipe(world, asked, False, local=str(world / "student")), out=tmp_path / "other")
    assert measured_beside(world, tmp_path / "same") == str(world / "teacher")
    before = len(server.prompts)
    assert before == 22 + 2 + 2  # all rows once; at each start, the longest again and at another temperature
    limbeck.run(recipe(world, asked, False, local=str(world / "student"), within=50), out=tmp_path / "wide")
    assert len(server.prompts) == before + 2


def test_an_interrupted_capture_goes_on_and_asks_no_row_twice(world, server, tmp_path):
    server.left = 14
    with pytest.raises(LimbeckError):
        limbeck.run(recipe(world, teacher(server, world), False), out=tmp_path / "run")
    answered = len(server.prompts)
    assert answered == 14
    server.left = None
    limbeck.run(recipe(world, teacher(server, world), False), out=tmp_path / "run")
    asked = [tuple(ids) for ids in server.prompts]
    # All rows once, but for the probe's longest: again at each start, and at another temperature.
    twice = {ids for ids in asked if asked.count(ids) > 1}
    assert len(twice) == 1 and len(set(asked)) == 22
    limbeck.run(recipe(world, teacher(server, world), False), out=tmp_path / "run")
    assert len(server.prompts) == len(asked)


def test_the_plan_says_what_asking_costs_and_asks_nothing(world, server):
    plan, _ = make_plan(recipe(world, teacher(server, world)), world / "never")
    assert not server.prompts
    notes = " ".join(plan.steps[1].notes)
    assert "22 calls to served" in notes and "positions kept" in notes


@pytest.mark.parametrize(
    ("asked", "fields", "said"),
    [
        ({"tokenizer": None}, {}, "its tokens are not known. Add tokenizer: DIR_OR_ID"),
        ({}, {"payload": {"topk": {"draws": 8}}}, "draws must be 0 with a teacher at an endpoint"),
        ({}, {"payload": {"hidden": {}}}, "must be topk with a teacher at an endpoint, got hidden"),
        ({}, {"model_kind": "seq2seq"}, "model_kind: must be causal at an endpoint"),
        ({}, {"bf16": True}, "the server chooses its dtype"),
        ({"api": "anthropic"}, {}, "must be asked by completions to score rows, got api: anthropic"),
    ],
)
def test_what_a_server_cannot_give_is_refused_before_it_is_asked(world, server, asked, fields, said):
    with pytest.raises(ConfigError, match=said):
        found = recipe(world, teacher(server, world, **asked), **fields)
        limbeck.run(found, out=world / "never")
    assert not server.prompts


def test_a_student_of_another_tokenizer_is_refused_in_the_plan(world, server):
    asked = {**teacher(server, world), "tokenizer": str(world / "other")}
    with pytest.raises(VocabularyError):
        make_plan(recipe(world, asked), world / "never")


def test_too_few_ids_are_refused_by_the_probe(world, server, tmp_path):
    server.most = 5
    with pytest.raises(StoreError, match=r"--max-logprobs 16 or more, or set payload.topk.max=5"):
        limbeck.run(recipe(world, teacher(server, world), False), out=tmp_path / "run")
    server.most = 64  # it was started again with other flags
    limbeck.run(recipe(world, teacher(server, world), False), out=tmp_path / "run")


def test_the_command_keeps_answers_beside_the_store_and_shows_where_it_asked(world, server, tmp_path, capsys):
    asked = f"{{endpoint: '{server.url}', model: served, tokenizer: {world / 'teacher'}}}"
    pairs = ["payload.topk.max=16", "max_length=48"]
    capture_command(asked, str(world / "texts.jsonl"), tmp_path / "store", pairs)
    assert len(list((tmp_path / "requests").glob("served-*.sqlite"))) == 1
    assert server.url in capsys.readouterr().out
