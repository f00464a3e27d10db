"""`limbeck compare` on run folders written by hand: groups, intervals over seeds, refusals."""

import csv
import io
import json
import math
from html.parser import HTMLParser
from pathlib import Path

import pytest

from limbeck.recipes import Recipe
from limbeck.recipes.text import write_yaml

T2, T1 = 4.302653, 12.706205  # Student's table: 97.5 % with 2 and 1 degrees of freedom


def write_run(folder: Path, *, name="word_kd", seed=0, bits=1.9, rate=1e-4, rows="same", finished=True):
    recipe = Recipe.from_data(
        {
            "limbeck": 1, "name": name, "steps": [
                {"load": {"out": "rows", "path": "d.jsonl"}},
                {"train": {"out": "student", "student": "S", "rows": "rows.train", "seed": seed,
                           "objective": ["cross_entropy"], "learning_rate": rate}},
                {"evaluate": {"model": "student", "rows": "rows.heldout", "metrics": ["perplexity"]}},
            ],
        }
    )  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(write_yaml(recipe.resolved()))
    for place, (kind, out) in enumerate((("load", "rows"), ("train", "student"), ("evaluate", "evaluation"))):
        step = folder / "steps" / f"{place}-{kind}-{out}"
        step.mkdir(parents=True)
        if finished or kind == "load":
            done = {"kind": kind, "out": out, "seconds": 10.0, "tokens": 640 * (kind == "train")}
            (step / "done.json").write_text(json.dumps(done))
    (folder / "steps/1-train-student/metrics.jsonl").write_text('{"step": 1}\n{"step": 20}\n')
    estimate = {"value": bits, "n": 9, "rows": 3, "interval": None}
    evaluation = {
        "data": {"rows": 31, "fingerprint": rows, "scored": rows},
        "subjects": [{"name": "student", "role": "student", "parameters": 1000}],
        "metrics": {"perplexity": {"subjects": {"student": {"bits_per_byte": estimate}}}},
    }
    (folder / "evaluation.json").write_text(json.dumps(evaluation))
    return folder


@pytest.fixture
def runs(tmp_path):
    for seed, (sft, kd) in enumerate([(2.0, 1.8), (2.1, 1.85), (2.2, 2.0)]):
        write_run(tmp_path / f"sft-{seed}", name="sft", seed=seed, bits=sft)
        write_run(tmp_path / f"kd-{seed}", seed=seed, bits=kd)
    return [f"{name}-{seed}" for seed in range(3) for name in ("sft", "kd")]


def test_means_and_paired_differences_have_students_interval_over_seeds(limbeck, runs):
    found = json.loads(limbeck("compare", *runs, "--json").out)
    assert found["baseline"] == "sft"
    sft, kd = found["groups"]
    assert (sft["name"], sft["seeds"], kd["seeds"]) == ("sft", [0, 1, 2], [0, 1, 2])
    bits = sft["measures"]["bits_per_byte"]
    half = T2 * 0.1 / math.sqrt(3)  # 2.0, 2.1, 2.2: standard deviation 0.1
    assert (bits["mean"], bits["interval"]) == (pytest.approx(2.1), pytest.approx([2.1 - half, 2.1 + half]))
    # -0.2, -0.25, -0.2: mean -0.21667, standard deviation 0.05 / sqrt(3).
    change = kd["differences"]["bits_per_byte"]
    half = T2 * 0.05 / 3
    assert change["mean"] == pytest.approx(-0.65 / 3)
    assert change["interval"] == pytest.approx([-0.65 / 3 - half, -0.65 / 3 + half])
    assert sft["differences"] == {}
    assert (kd["steps"], kd["tokens"], kd["seconds"], kd["parameters"]) == (20, 640, 30, 1000)


def test_the_table_shows_what_matters(limbeck, runs):
    ended = limbeck("compare", *runs, "--baseline", "word_kd")
    assert ended.code == 0, ended.err
    for said in ("31 held-out rows", "bits per byte ↓", "2.100", "Δ +0.2167", "3 (0, 1, 2)", "640", "30.0 s"):
        assert said in ended.out, said
    assert "difference to word_kd, paired by seed" in ended.out
    # 2.1 against 1.88: worse by 0.2167 +- 0.072.
    assert "▼" in ended.out and "Comparisons at 95 %: 1, of these 0 better, 1 worse" in " ".join(
        ended.out.split()
    )


def test_files_hold_the_same_numbers(limbeck, runs, tmp_path):
    for ending in (".md", ".html", ".csv", ".json"):
        assert limbeck("compare", *runs, "--out", f"table{ending}").out == f"table{ending}\n"
    lines = list(csv.DictReader(io.StringIO((tmp_path / "table.csv").read_text())))
    assert (lines[0]["run"], lines[0]["measure"]) == ("sft", "bits_per_byte")
    assert float(lines[0]["mean"]) == pytest.approx(2.1)
    assert "| bits per byte ↓ | 2.100 [1.852, 2.348] |" in (tmp_path / "table.md").read_text()
    HTMLParser().feed(page := (tmp_path / "table.html").read_text())
    assert "<td>2.100<small>[1.852, 2.348]</small></td>" in page
    assert json.loads((tmp_path / "table.json").read_text())["format"] == "limbeck-runs"


def test_one_seed_has_no_interval_and_no_seed_in_common_no_difference(limbeck, tmp_path):
    write_run(tmp_path / "a", seed=0)
    write_run(tmp_path / "b", name="sft", seed=5)
    found = json.loads(limbeck("compare", "a", "b", "--json").out)
    assert found["groups"][0]["measures"]["bits_per_byte"]["interval"] is None
    assert found["groups"][1]["differences"] == {}
    assert found["notes"] == ["No difference for sft: no seed in common with word_kd."]


def test_seeds_that_agree_by_chance_decide_nothing(limbeck, tmp_path):
    for seed in (0, 1):
        write_run(tmp_path / f"a{seed}", name="sft", seed=seed, bits=0.5)
        write_run(tmp_path / f"b{seed}", seed=seed, bits=0.25)
    found = json.loads(limbeck("compare", "a0", "a1", "b0", "b1", "--json").out)
    change = found["groups"][1]["differences"]["bits_per_byte"]
    assert (change["mean"], change["interval"], change["verdict"]) == (-0.25, None, "undecided")


def test_one_seed_has_intervals_over_the_rows_that_both_runs_kept(limbeck, tmp_path):
    for name, recipe, bits in (("a", "sft", 2.0), ("b", "word_kd", 1.75)):
        folder = write_run(tmp_path / name, name=recipe, bits=bits)
        found = json.loads((folder / "evaluation.json").read_text())
        found["metrics"]["perplexity"]["subjects"]["student"]["bits_per_byte"]["interval"] = [1.0, 3.0]
        (folder / "evaluation.json").write_text(json.dumps(found))
        # Better by 0.2 or 0.3 in each of twelve rows, however far these lie apart.
        rows = {f"r{n}": n + (0 if name == "a" else -0.2 - 0.1 * (n % 2)) for n in range(12)}
        kept = folder / "steps" / "2-evaluate-evaluation" / "rows.json"
        kept.write_text(json.dumps({"bits_per_byte": {"student": rows}}))
    found = json.loads(limbeck("compare", "a", "b", "--json").out)
    sft, kd = found["groups"]
    assert sft["measures"]["bits_per_byte"]["interval"] == [1.0, 3.0]
    change = kd["differences"]["bits_per_byte"]
    low, high = change["interval"]
    assert change["mean"] == pytest.approx(-0.25) and -0.32 < low < -0.25 < high < -0.18
    assert (change["verdict"], change["over"], change["rows"]) == ("better", "rows", 12)
    assert "paired by row" in limbeck("compare", "a", "b").out


def test_groups_of_one_recipe_are_named_by_what_differs(limbeck, tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", rate=5e-4)
    found = json.loads(limbeck("compare", "a", "b", "--baseline", "b", "--json").out)
    assert [group["name"] for group in found["groups"]] == [
        "word_kd (learning_rate=0.0001)", "word_kd (learning_rate=0.0005)"
    ]  # fmt: skip
    assert found["baseline"] == "word_kd (learning_rate=0.0005)"


def test_everything_that_is_no_finished_run_is_named_at_once(limbeck, tmp_path):
    write_run(tmp_path / "good")
    write_run(tmp_path / "half", finished=False)
    (tmp_path / "empty").mkdir()
    ended = limbeck("compare", "good", "half", "empty", "nowhere", "good")
    assert ended.code == 2
    assert ended.errors == [
        "error: half: must be finished, got a run whose step 2 of 3, train student, is not done. "
        "`limbeck run half/recipe.yaml --out half`.",
        "error: empty: must be a folder that `limbeck run` wrote, got a folder without recipe.yaml. Name run "
        "folders.",
        "error: nowhere: must be a folder that `limbeck run` wrote, got nothing there. Name run folders.",
        "error: good: is named twice. Name every run once.",
    ]


@pytest.mark.parametrize(
    ("changes", "words", "expected"),
    [
        (
            {"rows": "other"}, (),
            "error: runs must be evaluated on the same held-out rows, got 2 different sets: a (31 rows); "
            "b (31 rows). Compare runs of one set.",
        ),
        ({}, (), "error: word_kd: must have each seed once, got seed 0 in a, b. Keep one."),
        (
            {"seed": 1}, ("--baseline", "word_kt"),
            "error: --baseline: unknown run 'word_kt'. Did you mean 'word_kd'?",
        ),
        (
            {"seed": 1}, ("--out", "table.pdf"),
            "error: --out: must end with .md, .html, .csv, .json, got table.pdf. Give the file another name.",
        ),
    ],
)  # fmt: skip
def test_runs_that_cannot_be_compared_are_refused(limbeck, tmp_path, changes, words, expected):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", **changes)
    ended = limbeck("compare", "a", "b", *words)
    assert (ended.code, ended.errors) == (2, [expected])
