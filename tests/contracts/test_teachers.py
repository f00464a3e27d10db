"""What holds of every form of teacher that a recipe can name."""

import json
from pathlib import Path

import pytest
import yaml

import limbeck
from limbeck.core.config import validate
from limbeck.core.errors import ConfigError, UserError
from limbeck.recipes import Recipe, Teacher
from limbeck.recipes.check import check
from limbeck.recipes.references import references
from limbeck.recipes.teachers.capabilities import (
    BESIDE,
    CAPABILITIES,
    CAPTURED,
    DISTRIBUTION,
    INNER,
    NEW_ROWS,
    TEXT,
)
from limbeck.runs.assembly.teachers import ASKED_TEACHERS, WRITING_TEACHERS
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.world import make_world

PAGE = (Path(__file__).parents[2] / "docs" / "guide.md").read_text(encoding="utf-8")
EXAMPLES = {
    "model": {"model": "TEACHER", "dtype": "bfloat16", "noise": 0.5, "view": "student"},
    "signals": {"signals": "STORE", "view": "student"},
    "ensemble": {"ensemble": [{"model": "TEACHER", "weight": 2.0}, {"model": "TEACHER", "name": "b"}]},
    "endpoint": {
        "endpoint": "http://127.0.0.1:8000/v1", "model": "NAME", "label": "q4", "workers": 4,
        "budget": {"calls": 10}, "extra": {"min_p": 0.1},
    },
}  # fmt: skip
"""Plain data of each form."""

GIVES = {
    "model": {TEXT, DISTRIBUTION, NEW_ROWS, INNER, BESIDE, CAPTURED},
    "signals": {DISTRIBUTION},
    "ensemble": {DISTRIBUTION, NEW_ROWS},
    "endpoint": {TEXT},
}

ROWS = {"load": {"out": "rows", "path": "d.jsonl", "heldout": 2}}
STATES = {"name": "state_mse", "layers": {"student": [-1], "teacher": [-1]}}
ASKERS = {
    TEXT: ("steps.1.generate.teacher", {"generate": {"out": "w", "rows": "rows.train"}}),
    CAPTURED: ("steps.1.capture.teacher", {"capture": {"out": "w", "rows": "rows.train"}}),
    NEW_ROWS: (
        "steps.1.evaluate.teacher",
        {"evaluate": {"model": "m", "rows": "rows.heldout", "metrics": ["perplexity"]}},
    ),
    INNER: (
        "steps.1.train.objective.0",
        {"train": {"out": "s", "student": "S", "rows": "rows.train", "objective": [STATES]}},
    ),
    BESIDE: (
        "steps.1.train.selection",
        {
            "train": {
                "out": "s",
                "student": "S",
                "rows": "rows.train",
                "objective": [{"name": "forward_kl", "on": "uncertain"}],
                "selection": {},
            }
        },
    ),
}
"""What can be asked -> where it is refused, and a step that asks it."""


def every_form() -> list[str]:
    return list(Teacher.forms)


@pytest.mark.parametrize("form", every_form())
def test_every_form_has_an_example_here_and_in_the_guide(form):
    assert form in EXAMPLES
    assert f"{{{form}: " in PAGE


@pytest.mark.parametrize("form", every_form())
def test_plain_data_comes_back_as_it_was_given(form):
    teacher = Teacher.model_validate(EXAMPLES[form])
    assert type(teacher) is Teacher.forms[form]
    assert teacher.model_dump(mode="json") == EXAMPLES[form]
    assert Teacher.model_validate(json.loads(json.dumps(teacher.model_dump(mode="json")))) == teacher


@pytest.mark.parametrize("form", every_form())
def test_what_it_names_lies_where_its_paths_say(form):
    teacher = Teacher.model_validate(EXAMPLES[form])
    named = {**teacher.models, **teacher.stores}
    assert {one.path: one.word for one in references(teacher)} == named
    for path, word in named.items():
        value = teacher.model_dump(mode="json")
        for step in path.split("."):
            value = value[int(step)] if step.isdigit() else value[step]
        assert word.startswith(value)


@pytest.mark.parametrize("form", every_form())
def test_a_key_of_another_form_is_answered_with_the_form_it_goes_with(form):
    kind = Teacher.forms[form]
    for other, theirs in Teacher.forms.items():
        for key in set(theirs.model_fields) - set(kind.model_fields) - set(Teacher.forms):
            with pytest.raises(ValueError, match=f"{key} goes with .*{other}.*, got it with {form}"):
                Teacher.model_validate({form: EXAMPLES[form][form], key: 1})


@pytest.mark.parametrize("what", [what for what in CAPABILITIES if what in ASKERS])
@pytest.mark.parametrize("form", every_form())
def test_what_it_does_not_give_is_refused_in_one_sentence(form, what):
    example = {name: value for name, value in EXAMPLES[form].items() if name != "noise"}
    teacher = Teacher.model_validate(example)
    assert teacher.gives() == GIVES[form]
    where, step = ASKERS[what]
    ((kind, fields),) = step.items()
    steps = [ROWS, {kind: {**fields, "teacher": example}}]
    made = Recipe.from_data({"limbeck": 1, "name": "asks", "steps": steps})
    told = [str(one) for one in check(made) if one.where == where and teacher.said in one.message]
    assert bool(told) == (what not in GIVES[form])
    assert all(CAPABILITIES[given] in told[0] for given in GIVES[form] if told)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.mark.parametrize("form", [form for form in every_form() if DISTRIBUTION in GIVES[form]])
def test_a_training_that_is_planned_with_it_runs(form, world, tmp_path):
    text = json.dumps(EXAMPLES[form]).replace("TEACHER", str(world / "teacher")).replace("STORE", "store")
    load = {"out": "rows", "path": str(world / "texts.jsonl"), "heldout": 2, "limit": 12}
    store = {"out": "store", "teacher": str(world / "teacher"), "rows": "rows.train", "max_length": 32}
    train = {
        "out": "student",
        "student": str(world / "student"),
        "teacher": yaml.safe_load(text),
        "rows": "rows.train",
        "objective": ["forward_kl"],
        "max_steps": 2,
        "max_length": 32,
        "learning_rate": 1e-3,
    }
    steps = [{"load": load}, *([{"capture": store}] if "store" in text else []), {"train": train}]
    made = Recipe.from_data({"limbeck": 1, "name": "taught", "steps": steps})
    plan, _ = make_plan(made, tmp_path / "run")
    assert plan.steps[-1].optimizer_steps == 2
    limbeck.run(made, tmp_path / "run", progress=Silent())
    losses = [
        json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    ]
    assert len(losses) == 2 and all(0 < loss < 100 for loss in losses)


@pytest.mark.parametrize("form", every_form())
def test_who_gives_text_writes_rows_and_is_asked_by_operators(form):
    lists = (WRITING_TEACHERS, ASKED_TEACHERS)
    assert [Teacher.forms[form] in one for one in lists] == [TEXT in GIVES[form]] * 2


def test_no_form_and_two_forms_are_refused_with_all_of_them():
    for given in ({}, {"model": "A", "signals": "B"}, 3):
        with pytest.raises((ValueError, UserError), match=r"\{model: DIR_OR_ID\}, \{signals: DIR\}"):
            Teacher.model_validate(given)


@pytest.mark.parametrize("form", every_form())
def test_a_misspelt_form_is_answered_with_the_right_one_and_nothing_else(form):
    fields = dict(EXAMPLES[form])
    given = {f"{form}x": fields.pop(form), **fields}
    with pytest.raises(ConfigError) as told:
        validate(Teacher, given)
    assert [str(one) for one in told.value.problems] == [
        f"{form}x: unknown key '{form}x'. Did you mean '{form}'?"
    ]
