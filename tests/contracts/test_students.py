"""What holds of every form of student that a recipe can name."""

import json
from pathlib import Path

import pytest
import torch

from limbeck.core.config import validate
from limbeck.core.errors import ConfigError
from limbeck.core.models import load_tokenizer
from limbeck.recipes import Student
from limbeck.recipes.references import references
from limbeck.rows.load import load_rows
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from limbeck.runs.assembly.models import read_info
from limbeck.runs.assembly.students import made_info, make_student, said_of
from limbeck.runs.assembly.students.making import Making
from tests.runs.world import make_world

EXAMPLES = {
    "model": {"model": "TEACHER", "dtype": "bfloat16"},
    "cut": {"cut": "TEACHER", "layers": [0, 1]},
    "fresh": {"fresh": "TEACHER", "sizes": {"hidden_size": 16}},
    "prune": {"prune": "TEACHER", "ratio": 0.3},
}
"""Plain data of each form."""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(params=list(Student.forms))
def form(request) -> str:
    return request.param


def test_plain_data_comes_back_as_it_was_given(form):
    student = Student.model_validate(EXAMPLES[form])
    assert type(student) is Student.forms[form]
    assert json.loads(json.dumps(student.model_dump(mode="json"))) == EXAMPLES[form]
    assert Student.model_validate(student.model_dump(mode="json")) == student


def test_what_it_is_made_from_is_what_it_names(form):
    student = Student.model_validate(EXAMPLES[form])
    (named,) = references(student)
    assert (named.path, named.word) == (form, student.origin)
    assert student.at("out").origin.startswith("out")


def test_a_key_of_another_form_is_answered_with_the_form_it_goes_with(form):
    kind = Student.forms[form]
    for other, theirs in Student.forms.items():
        for key in set(theirs.model_fields) - set(kind.model_fields) - set(Student.forms):
            with pytest.raises(ValueError, match=rf"{key} goes with .*{other}.*, got it with {form}"):
                Student.model_validate({form: EXAMPLES[form][form], key: 1})


def test_what_is_planned_is_what_is_made_twice_alike(form, world):
    place = str(world / "teacher")
    student = Student.model_validate(json.loads(json.dumps(EXAMPLES[form]).replace("TEACHER", place)))
    shape = made_info(student, read_info(place), None)
    read = (lambda: batches(world)) if student.reads_rows else None
    first, second = (make_student(student, Making(place, "causal", 3, read=read)) for _ in range(2))
    assert sum(weight.numel() for weight in first.parameters()) == shape.parameters
    for name, weight in first.state_dict().items():
        assert torch.equal(weight, second.state_dict()[name]), name
    assert place in said_of(student, "rows.train")


def batches(world):
    tokenizer, rendering = load_tokenizer(world / "teacher"), Rendering(model_kind="causal", max_length=32)
    rendered = render(load_rows(str(world / "texts.jsonl"), limit=8), tokenizer, rendering)
    source = PaddedSource(rendered, rendering, int(tokenizer.pad_token_id))
    yield source.batch(list(range(4)))


def test_a_misspelt_form_is_answered_with_the_right_one_and_nothing_else(form):
    fields = dict(EXAMPLES[form])
    given = {f"{form}x": fields.pop(form), **fields}
    with pytest.raises(ConfigError) as told:
        validate(Student, given)
    assert [str(one) for one in told.value.problems] == [
        f"{form}x: unknown key '{form}x'. Did you mean '{form}'?"
    ]
