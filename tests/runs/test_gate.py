"""A gate step: what passes, what does not, with which reasons, and what the models of gates say."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import load_from_disk
from transformers import AutoModelForCausalLM, AutoTokenizer

import limbeck
from limbeck.core.errors import UserError
from limbeck.core.models import load_model, load_tokenizer, save_model
from limbeck.gates.verdict import verdicts_of
from limbeck.recipes import Recipe
from limbeck.recipes.check import check
from limbeck.runs.assembly.answer_scorer import AnswerScorer
from limbeck.runs.assembly.pair_classifier import PairClassifier
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests import tiny
from tests.runs.served import serving
from tests.runs.world import make_world, write_rows

ANSWERS = ["#### 4", "#### 5", "4", "so it is four", "#### 4"]
ROWS = [
    {"prompt": f"what is {place // 3}", "completion": text, "number": 4} for place, text in enumerate(ANSWERS)
]


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    write_rows(folder / "sums.jsonl", ROWS)
    write_rows(folder / "exam.jsonl", [{"prompt": "what is 1", "completion": "x"}])
    model = load_model(folder / "bert", "classifier", label_names=["neutral", "entailment"])
    save_model(model, tiny.tiny_encoder_tokenizer(), folder / "nli")
    return folder


def recipe(world: Path, *gates: Any, data: str = "sums", **fields: Any) -> Recipe:
    def load(out: str, name: str) -> dict[str, Any]:
        return {"load": {"out": out, "path": str(world / f"{name}.jsonl"), "heldout": 0}}

    step = {"out": "kept", "rows": "rows.train", "gates": list(gates), **fields}
    steps = [load("rows", data), load("exam", "exam"), {"gate": step}]
    return Recipe.from_data({"limbeck": 1, "name": "gated", "steps": steps})


def done(made: Recipe, folder: Path) -> tuple[list[dict], list[dict], dict]:
    limbeck.run(made, folder, progress=Silent())
    step = next(folder.glob("steps/*-kept"))
    kept, rejected = (load_from_disk(str(step / name)).to_list() for name in ("rows", "rejected"))
    return kept, rejected, json.loads((step / "yield.json").read_text())


def test_rows_that_pass_are_kept_and_the_others_lie_apart_with_their_reasons(world, tmp_path):
    gates = [{"name": "format", "pattern": r"\d"}, "exact_duplicate"]
    kept, rejected, found = done(recipe(world, *gates, keep="all"), tmp_path / "run")
    assert [row["completion"] for row in kept] == ["#### 4", "#### 5", "#### 4"]
    assert [[one["reason"] for one in verdicts_of(row)] for row in rejected] == [
        ["accepted", "duplicate"], ["pattern"],
    ]  # fmt: skip
    assert (found["candidates"], found["accepted"], found["calls"]) == (5, 3, 0)
    assert found["gates"] == [
        {"gate": "format", "judged": 5, "rejected": 1, "reasons": {"pattern": 1}},
        {"gate": "exact_duplicate", "judged": 4, "rejected": 1, "reasons": {"duplicate": 1}},
    ]


def test_all_answers_to_a_question_are_judged_together_wherever_they_stand(world, tmp_path, monkeypatch):
    monkeypatch.setattr("limbeck.runs.steps.gate._CHUNK", 1)
    write_rows(world / "shuffled.jsonl", [ROWS[place] for place in (0, 3, 1, 4, 2)])
    kept, rejected, _ = done(recipe(world, "self_consistency", data="shuffled"), tmp_path / "run")
    assert [row["completion"] for row in kept] == ["#### 4", "4"]
    reasons = {(row["prompt"], verdicts_of(row)[0]["reason"]) for row in rejected}
    assert reasons == {("what is 0", "minority"), ("what is 1", "disagreement")}


def test_later_steps_read_what_passed_and_what_was_refused(world, tmp_path):
    made = recipe(world, {"name": "length", "max": 1})
    data = made.to_data()
    for out, rows in (("again", "kept"), ("others", "kept.rejected")):
        data["steps"].append({"gate": {"out": out, "rows": rows, "gates": [{"name": "length", "min": 1}]}})
    both = Recipe.from_data(data)
    assert check(both) == []
    limbeck.run(both, tmp_path / "run", progress=Silent())
    sizes = [len(load_from_disk(str(path))) for path in sorted((tmp_path / "run").glob("steps/*/rows"))]
    assert sizes == [1, 1, 4]
    said = load_from_disk(str(next((tmp_path / "run").glob("steps/*-others/rows")))).to_list()
    assert [one["reason"] for one in verdicts_of(said[0])] == ["long", "accepted"]


def test_a_part_that_is_none_is_told_the_words_there_are(world):
    data = recipe(world, {"name": "length", "max": 1}).to_data()
    data["steps"].append({"gate": {"out": "x", "rows": "kept.refused", "gates": ["finished"]}})
    (problem,) = check(Recipe.from_data(data))
    assert "must be kept or kept.rejected, got 'kept.refused'" in problem.message


def test_where_no_row_passes_the_reasons_are_said_and_the_rows_lie_there(world, tmp_path):
    with pytest.raises(UserError, match=r"got none of 5\. length refused 5 of 5: short 5"):
        limbeck.run(recipe(world, {"name": "length", "min": 99}), tmp_path / "run", progress=Silent())
    assert len(load_from_disk(str(next((tmp_path / "run").glob("steps/*/rejected"))))) == 5


def test_evaluation_sets_are_rows_of_other_steps(world, tmp_path):
    made = recipe(world, "decontaminate", against=["exam.train"])
    kept, rejected, _ = done(made, tmp_path / "run")
    assert [row["prompt"] for row in rejected] == ["what is 1"] * 2 and len(kept) == 3


@pytest.mark.parametrize(
    ("gates", "fields", "said"),
    [
        ([], {}, "must name at least one gate"),
        (["decontaminate"], {}, r"decontaminate must be given against, got none. Say against: \[ROWS\]"),
        (["finished"], {"scorer": "teacher"}, "is read by none of the gates"),
        ([{"name": "length", "min": 2, "max": 1}], {}, "min must be at most max"),
        (
            [{"name": "overlap", "relative_to": "nubmer"}],
            {},
            "must be a column of rows.train, got 'nubmer'. Did",
        ),
        ([{"name": "perplexity", "maximum": 3}], {"scorer": "bert"}, "must be a causal model"),
        (["entailment"], {"classifier": "teacher"}, "must be a classifier model, got causal"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_run(world, tmp_path, gates, fields, said):
    there = {name: str(world / value) for name, value in fields.items()}
    made = recipe(world, *gates, **there)
    with pytest.raises(UserError, match=said):
        problems = check(made)
        if problems:
            raise UserError(problems)
        make_plan(made, tmp_path / "run")


def test_a_gate_that_remembers_goes_last_or_the_plan_says_why(world, tmp_path):
    plan, _ = make_plan(recipe(world, "novelty", {"name": "length", "max": 9}), tmp_path / "run")
    assert any("novelty remembers rows that later gates refuse" in note for note in plan.steps[-1].notes)


def test_the_probabilities_of_a_classifier_are_its_own_by_name(world):
    model, tokenizer = load_model(world / "nli", "classifier"), load_tokenizer(world / "nli")
    pairs = [("the cat", "a dog and the cat"), ("a", "b"), ("the cat sat", "the")]
    found = PairClassifier(model, tokenizer, max_length=16, batch_size=2)(pairs)
    for pair, classes in zip(pairs, found, strict=True):
        with torch.no_grad():
            logits = model.eval()(**tokenizer(*pair, return_tensors="pt")).logits[0]
        expected = dict(zip(("neutral", "entailment"), logits.softmax(-1).tolist(), strict=True))
        assert classes == pytest.approx(expected, abs=1e-5)


def test_the_loss_of_an_answer_is_the_mean_over_its_tokens_behind_the_prompt(world):
    model = AutoModelForCausalLM.from_pretrained(world / "teacher").eval()
    tokenizer = AutoTokenizer.from_pretrained(world / "teacher")
    scorer = AnswerScorer(model, load_tokenizer(world / "teacher"), max_length=64, batch_size=2)
    pairs = [("the cat", " sat on the mat"), ("a", ""), ("one two", " three")]
    found = scorer(pairs)
    assert math.isnan(found[1])
    for (prompt, answer), loss in zip(pairs, found, strict=True):
        if not answer:
            continue
        whole = tokenizer(prompt + answer, return_tensors="pt")["input_ids"][0]
        start = len(tokenizer(prompt)["input_ids"])
        end = torch.tensor([tokenizer.eos_token_id])
        ids = torch.cat([whole, end])[None]
        with torch.no_grad():
            log_probs = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
        values = -log_probs[torch.arange(len(ids[0]) - 1), ids[0, 1:]][start - 1 :]
        assert loss == pytest.approx(float(values.mean()), abs=1e-4)


def test_models_of_a_step_judge_its_rows(world, tmp_path):
    made = recipe(
        world, {"name": "perplexity", "maximum": 1e9}, {"name": "entailment", "threshold": 0.0},
        scorer=str(world / "teacher"), classifier=str(world / "nli"),
    )  # fmt: skip
    kept, _, _ = done(made, tmp_path / "run")
    assert len(kept) == 5 and all(0 < verdicts_of(row)[1]["score"] < 1 for row in kept)


def test_a_judge_at_an_endpoint_scores_rows_and_is_asked_once(world, tmp_path):
    def says(call: Any) -> str:
        return "Right. [[9]]" if "#### 4" in call.prompt else "Hm. [[2]]"

    gate = {"name": "judge", "minimum": 5, "max_new_tokens": 16}
    with serving(says=says) as server:
        there = {"endpoint": server.url, "model": "m"}
        made = recipe(world, {"name": "format", "pattern": "4|5"}, gate, judge=there)
        plan, _ = make_plan(made, tmp_path / "run")
        assert any("About 5 calls" in note for note in plan.steps[-1].notes), plan.steps[-1].notes
        assert not server.calls
        kept, rejected, found = done(made, tmp_path / "run")
        assert [row["completion"] for row in kept] == ["#### 4"] * 2
        assert sorted(verdicts_of(row)[-1]["reason"] for row in rejected) == ["low", "low", "pattern"]
        assert (found["calls"], found["cached"], len(server.calls)) == (4, 0, 4)
        again = recipe(world, {**gate, "minimum": 1}, judge=there)
        limbeck.run(again, tmp_path / "run", overwrite=True, progress=Silent())
        assert len(server.calls) == 5, "the row that no judge had seen"


def test_a_judge_that_nobody_names_is_asked_for(world):
    (problem,) = check(recipe(world, {"name": "judge", "minimum": 5}))
    assert problem.message.startswith("judge must be given ask, got none. Say judge: TEACHER")
