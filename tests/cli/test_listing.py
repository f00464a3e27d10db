"""`limbeck list`, `show` and their help: what a newcomer reads before anything runs."""

import json
import re

import pytest

from limbeck import __version__
from limbeck.cli.families import FAMILIES
from limbeck.cli.inputs import inputs_of, kind_of
from limbeck.core.catalogue import catalogue
from limbeck.recipes import Train
from limbeck.runs.overrides import STEP_SETTINGS

RECIPES = [name for family in FAMILIES.values() for name in family]


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help_ends_well_and_names_commands_with_whole_summaries(limbeck, monkeypatch, words):
    monkeypatch.setenv("COLUMNS", "80")
    ended = limbeck(*words)
    assert ended.code == 0
    assert ended.out.startswith("Usage: limbeck [OPTIONS] COMMAND")
    assert "..." not in ended.out.replace("[ARGS]...", "")


def test_the_version_is_printed(limbeck):
    assert limbeck("--version")[:2] == (0, f"limbeck {__version__}\n")


@pytest.mark.parametrize(
    ("command", "usage"),
    [
        ("list", "limbeck list [OPTIONS] [KIND NAME]..."),
        ("run", "limbeck run [OPTIONS] {RECIPE|FILE} [KEY=VALUE]..."),
        ("evaluate", "limbeck evaluate [OPTIONS] {MODEL} [KEY=VALUE]..."),
        ("doctor", "limbeck doctor [OPTIONS] [KEY=VALUE]..."),
    ],
)
def test_usage_lines_are_readable(limbeck, command, usage):
    assert limbeck(command, "-h").out.splitlines()[0] == f"Usage: {usage}"


def test_recipes_are_listed_by_family_in_a_line_each_at_80_columns(limbeck, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = limbeck("list").out.splitlines()
    assert len(lines) < 70
    assert max(map(len, lines)) <= 80
    assert sorted(RECIPES) == sorted(catalogue("recipes"))
    for family in FAMILIES.values():
        for name, text in family.items():
            assert f"  {name:<17}  {text}" in lines


def test_nothing_is_broken_inside_a_word_at_80_columns(limbeck, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for kind in ("objectives", "schedules", "metrics", "students", "teachers"):
        for line in limbeck("list", kind).out.splitlines():
            assert len(line) <= 80
            assert not re.search(r"\w=$", line), line


@pytest.mark.parametrize("name", RECIPES)
def test_every_input_has_a_meaning_and_no_docstring_names_another_one(name):
    entry = catalogue("recipes")[name]
    assert all(one.meaning and one.kind for one in inputs_of(entry))
    assert set(entry.meanings) <= set(entry.keywords)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ("int", "whole number"),
        ("Share", "number from 0 to 1"),
        ("str | None", "text or null"),
        ("Literal['jsd', 'forward_kl']", "jsd or forward_kl"),
        ("Annotated[float, Field(gt=0, le=1)]", "number above 0 and at most 1"),
        ("Annotated[int, Field(ge=-1)] | None", "whole number at least -1 or null"),
        ("tuple[Annotated[float, Field(ge=0)], ...]", "list of number at least 0"),
    ],
)
def test_annotations_are_said_in_words(annotation, words):
    assert kind_of(annotation) == words


@pytest.mark.parametrize("words", [("list", "recipes", "gkd"), ("show", "gkd"), ("run", "gkd", "--help")])
def test_a_recipe_explains_its_inputs(limbeck, words):
    ended = limbeck(*words)
    assert ended.code == 0, ended.err
    text = " ".join(ended.out.split())
    assert "on_policy number from 0 to 1, default 0.5 the paper's lambda: share of rows" in text
    assert "teacher model, required who teaches: a model's folder or hub id" in text
    assert "learning_rate auto or number above 0, default auto peak learning rate" in text
    assert ended.out.endswith("$ limbeck run gkd teacher=... student=... data=...\n")


def test_a_part_is_explained_by_its_docstring(limbeck):
    said = limbeck("list", "objectives", "jsd").out
    assert "beta: share of the teacher in the mixture, in (0, 1)." in said
    ended = limbeck("list", "objectives", "jsdd")
    assert ended[::2] == (2, "error: objectives: unknown name 'jsdd'. Did you mean 'jsd'?\n")


def test_ensembles_stores_and_other_tokenizers_are_among_teachers_and_students(limbeck):
    teachers = {one["name"]: one["write"] for one in json.loads(limbeck("list", "teachers", "--json").out)}
    students = {one["name"]: one["write"] for one in json.loads(limbeck("list", "students", "--json").out)}
    assert teachers.keys() == {"model", "signals", "ensemble", "endpoint"}
    assert students.keys() == {"model", "cut", "prune", "fresh", "tokenizer"}


def test_settings_of_training_are_listed_with_range_default_and_meaning(limbeck):
    listed = {one["name"]: one for one in json.loads(limbeck("list", "settings", "--json").out)}
    assert listed.keys() >= set(STEP_SETTINGS)
    for name, field in Train.model_fields.items():
        if name in listed:
            assert listed[name]["summary"] == field.description
    assert listed["adam_beta1"]["kind"] == "number at least 0 and below 1"
    assert listed["lora_r"]["default"] == "0"
    assert "rank of LoRA adapters" in limbeck("list", "settings", "lora_r").out
