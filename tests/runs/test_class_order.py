"""A tuned classifier keeps the order of its classes, wherever it is read."""

import json

import pytest
import torch
from transformers import AutoConfig

import limbeck
from limbeck.core.errors import ModelError, RowError
from limbeck.core.models import load_model, save_model
from limbeck.runs.commands.evaluate import measuring
from tests import tiny

NAMES = {0: "positive", 1: "negative"}


@pytest.fixture
def labelled(tmp_path):
    """Rows of which 9 in 10 are positive."""
    rows = [
        {"text": f"a film of great warmth {n}", "label": "negative" if n % 10 == 0 else "positive"}
        for n in range(60)
    ]
    return write(tmp_path / "rows.jsonl", rows)


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def classifier(folder, names=NAMES, likeliest=0):
    """A classifier that always gives one class."""
    model = tiny.tiny_classifier(classes=len(names), layers=2)
    model.config.id2label, model.config.label2id = names, {name: place for place, name in names.items()}
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(5.0 * torch.nn.functional.one_hot(torch.tensor(likeliest), len(names)))
    save_model(model, tiny.tiny_encoder_tokenizer(), folder)
    return str(folder)


def accuracy(tmp_path, model, data):
    recipe = measuring(model, data, inputs={"metrics": ["classification"]}, teacher=None, baseline=None)
    run = limbeck.run(recipe, out=tmp_path / "measured")
    return run.evaluation["metrics"]["classification"]["subjects"]["student"]["accuracy"]["value"]


def pkd(tmp_path, teacher, data, **more):
    inputs = {
        "teacher": teacher, "data": data, "layers": 2, "teacher_layers": 2, "teacher_is_tuned": True,
        "max_steps": 1, "per_device_train_batch_size": 4, "baseline": False, "max_length": 32,
    }  # fmt: skip
    return limbeck.run("pkd", out=tmp_path / "pkd", **inputs | more)


def test_an_evaluation_reads_the_scores_in_the_models_own_order(tmp_path, labelled):
    assert accuracy(tmp_path, classifier(tmp_path / "m"), labelled) == pytest.approx(0.9)


def test_numbered_labels_mean_the_numbers_of_the_classes(tmp_path):
    rows = [{"text": f"t {n}", "label": int(n % 10 == 0)} for n in range(60)]
    assert accuracy(tmp_path, classifier(tmp_path / "m"), write(tmp_path / "n.jsonl", rows)) == 0.9


def test_a_student_takes_the_order_of_its_teacher(tmp_path, labelled):
    student = pkd(tmp_path, classifier(tmp_path / "m"), labelled).student
    assert AutoConfig.from_pretrained(student).id2label == NAMES


def test_other_classes_than_the_models_are_refused_before_anything_is_trained(tmp_path, labelled):
    teacher = classifier(tmp_path / "m", {0: "good", 1: "bad"})
    with pytest.raises(
        ModelError, match=r"0: good, 1: bad, got 0: negative, 1: positive; it has no negative"
    ):
        pkd(tmp_path, teacher, labelled)


def test_a_tuned_teacher_below_chance_teaches_nothing_and_the_right_order_is_named(tmp_path, labelled):
    teacher = classifier(tmp_path / "m", likeliest=1)
    with pytest.raises(ModelError, match=r"better than chance .*got \d of 54 right") as error:
        pkd(tmp_path, teacher, labelled, heldout=6)
    assert "In the order 0: negative, 1: positive it would be right in" in str(error.value)


def test_an_evaluation_says_when_a_model_is_worse_than_chance(tmp_path, labelled):
    assert accuracy(tmp_path, classifier(tmp_path / "m", likeliest=1), labelled) == pytest.approx(0.1)
    done = json.loads(next((tmp_path / "measured/steps").glob("*evaluate*/done.json")).read_text())
    assert done["notes"][0].startswith("student is worse than chance: 10.0% right of 60")


def test_labels_that_differ_in_case_alone_are_refused_by_name(tmp_path):
    rows = [{"text": f"t {n}", "label": ("positive", "negative", "POSITIVE")[n % 3]} for n in range(6)]
    with pytest.raises(RowError, match=r"got 'POSITIVE' \(2 rows\), 'positive' \(2 rows\)"):
        accuracy(tmp_path, classifier(tmp_path / "m"), write(tmp_path / "c.jsonl", rows))


def test_a_loaded_head_keeps_its_names_and_refuses_others(tmp_path):
    place = classifier(tmp_path / "m")
    assert load_model(place, "classifier", label_names=["Negative", "Positive"]).config.id2label == NAMES
    with pytest.raises(ModelError, match=r"classes must be 0: positive, 1: negative for .* got 0: a, 1: b"):
        load_model(place, "classifier", label_names=["a", "b"])
