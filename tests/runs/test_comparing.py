"""Several evaluations in one recipe: each keeps its folder, and all are held against each other."""

import json
from xml.etree import ElementTree

import pytest

import limbeck
from limbeck.recipes import Recipe
from limbeck.runs.record.fingerprints import fingerprint_steps
from limbeck.runs.record.progress import Silent

HEAD = """
limbeck: 1
name: two
steps:
  - load: {{out: rows, path: {world}/texts.jsonl, heldout: 6}}
  - evaluate: {{out: whole, model: {world}/teacher, teacher: {{model: {world}/teacher}}, rows: rows.heldout,
      metrics: [perplexity, fidelity], max_length: 48}}
  - evaluate: {{out: small, model: {world}/student, teacher: {{model: {world}/teacher}}, rows: rows.heldout,
      metrics: [perplexity, fidelity], max_length: 48}}
"""
COMPARE = """
  - compare:
      evaluations: [whole, small]
      by: {whole: {layers: 3, kind: cut}, small: {layers: 1, kind: fresh}}
      figures: [{x: layers, y: top1_agreement, group: kind}, {x: parameters, y: bits_per_byte}]
      tests:
        - {test: paired_t, y: bits_per_byte, against: whole}
        - {test: anova, y: bits_per_byte, factor: kind}
"""


def recipe(world, tail=""):
    return Recipe.from_yaml(HEAD.format(world=world) + tail)


@pytest.fixture(scope="module")
def done(world, tmp_path_factory):
    return limbeck.run(recipe(world, COMPARE), tmp_path_factory.mktemp("two") / "run", progress=Silent())


def test_two_evaluations_are_kept_and_compared(done):
    steps = done.folder / "steps"
    for name in ("1-evaluate-whole", "2-evaluate-small"):
        assert json.loads((steps / name / "evaluation.json").read_text())["format"] == "limbeck-evaluation"
    found = json.loads((done.folder / "comparison.json").read_text())
    assert found == json.loads((steps / "3-compare-comparison" / "comparison.json").read_text())
    # The teacher is the same in both and stands there once.
    assert [(model["evaluation"], model["role"]) for model in found["models"]] == [
        ("whole", "teacher"), ("whole", "student"), ("small", "student")
    ]  # fmt: skip
    agreement = [model["values"]["top1_agreement"]["value"] for model in found["models"][1:]]
    assert agreement[0] == 1 > agreement[1]
    assert found["figures"][0]["points"] == [
        {"evaluation": "whole", "x": 3.0, "y": 1.0, "group": "cut",
         "interval": found["models"][1]["values"]["top1_agreement"]["interval"]},
        {
            "evaluation": "small", "x": 1.0, "y": agreement[1], "group": "fresh",
            "interval": found["models"][2]["values"]["top1_agreement"]["interval"],
        },
    ]  # fmt: skip
    # The teacher has a size and bits per byte, too, but figures are about students.
    assert [point["evaluation"] for point in found["figures"][1]["points"]] == ["whole", "small"]
    paired, anova = found["tests"]
    assert (paired["pairs"][0]["evaluation"], paired["pairs"][0]["n"]) == ("small", 6)
    rows = [
        json.loads((steps / name / "rows.json").read_text())
        for name in ("1-evaluate-whole", "2-evaluate-small")
    ]
    own = [row["bits_per_byte"]["student"] for row in rows]
    mean = sum(own[1][name] - own[0][name] for name in own[0]) / 6
    assert paired["pairs"][0]["difference"] == pytest.approx(mean)
    assert anova["statistic"] is None  # one value a group


def test_its_figures_are_files_too(done):
    drawn = sorted((done.folder / "steps" / "3-compare-comparison" / "figures").iterdir())
    assert [path.name for path in drawn] == [
        "0-top1_agreement-over-layers.svg", "1-bits_per_byte-over-parameters.svg"
    ]  # fmt: skip
    assert ElementTree.parse(drawn[0]).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_the_report_shows_all_of_them(done):
    page = done.report.read_text()
    assert "Held the evaluations <code>whole</code> and <code>small</code>" in page


def test_evaluations_that_nobody_compares_are_put_side_by_side_all_the_same(world, tmp_path):
    done = limbeck.run(recipe(world), tmp_path / "run", progress=Silent())
    found = json.loads((done.folder / "comparison.json").read_text())
    assert len(found["models"]) == 3 and found["figures"] == []


def test_a_comparison_is_made_anew_when_an_evaluation_changes_and_not_otherwise(world):
    first = [mark.value for mark in fingerprint_steps(recipe(world, COMPARE))]
    other = HEAD.replace("max_length: 48", "max_length: 40", 1)
    changed = fingerprint_steps(Recipe.from_yaml(other.format(world=world) + COMPARE))
    assert [a == b.value for a, b in zip(first, changed, strict=True)] == [True, False, True, False]
