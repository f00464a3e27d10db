"""Impossible Distillation from a scripted server: what is continued, what critics keep, who learns."""

import json
from pathlib import Path

import pytest
from datasets import load_from_disk

import limbeck
from limbeck import recipes
from limbeck.core.models import load_model, save_model
from limbeck.gates.verdict import verdicts_of
from limbeck.runs.record.progress import Silent
from tests import tiny
from tests.runs.served import serving
from tests.runs.world import make_world, write_rows

SENTENCES = ("The cat sat on 2 mats.", "On 2 mats a cat was seen.", "On mats a cat was seen.", "Yes.")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    folder = make_world(tmp_path_factory.mktemp("world"))
    model = load_model(folder / "bert", "classifier", label_names=["neutral", "entailment"])
    save_model(model, tiny.tiny_encoder_tokenizer(), folder / "nli")
    write_rows(folder / "beginnings.jsonl", [{"prompt": f"TOWN {place} --"} for place in range(3)])
    return folder


def continues(call) -> str:
    if call.prompt.startswith("TOWN") and call.prompt.endswith("--"):
        return " It rained. Then the sun came. And so"
    return " " + SENTENCES[call.number % len(SENTENCES)] + " More."


def rows_of(folder: Path, out: str, part: str = "rows") -> list[dict]:
    return load_from_disk(str(next(folder.glob(f"steps/*-{out}")) / part)).to_list()


def test_pairs_of_the_weak_model_pass_critics_and_the_student_rewrites_what_it_wrote(world, tmp_path):
    with serving(says=continues) as server:
        made = recipes.impossible(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "student"),
            data=str(world / "beginnings.jsonl"),
            critic=str(world / "nli"),
            contexts=1,
            candidates=8,
            entailed=0.0,
            most_overlap=0.9,
            rewritings=2,
            heldout=1,
            max_steps=2,
            max_length=128,
            max_new_tokens=16,
        )
        # The tiny student writes noise: its critics are told to let anything through.
        data = made.to_data()
        (better,) = (step["gate"] for step in data["steps"] if step.get("gate", {}).get("out") == "better")
        better["gates"] = [{"name": "overlap", "relative_to": "prompt"}]
        del better["classifier"]
        limbeck.run(recipes.Recipe.from_data(data), tmp_path / "run", progress=Silent())
        assert all("messages" not in call.body for call in server.calls), "plain text is continued"
    kept, refused = (rows_of(tmp_path / "run", "gate-paraphrases", part) for part in ("rows", "rejected"))
    assert {(row["prompt"], row["completion"]) for row in kept} <= {SENTENCES[:2], SENTENCES[1::-1]}
    reasons = {(verdicts_of(row)[-1]["gate"], verdicts_of(row)[-1]["reason"]) for row in refused}
    assert ("length", "short") in reasons or ("length", "long") in reasons
    assert ("numbers_agree", "lost") in reasons or ("numbers_agree", "added") in reasons
    sentences = [row["prompt"] for row in rows_of(tmp_path / "run", "gate-sentences")]
    assert len(sentences) == len(set(sentences))
    best = rows_of(tmp_path / "run", "select-best")
    rewritten = rows_of(tmp_path / "run", "gate-better")
    for row in best:
        scores = [verdicts_of(one)[-1]["score"] for one in rewritten if one["prompt"] == row["prompt"]]
        assert verdicts_of(row)[-1]["score"] == min(scores)
    assert [row["prompt"] for row in best] == list(dict.fromkeys(row["prompt"] for row in rewritten))
    found = json.loads((tmp_path / "run" / "evaluation.json").read_text())["metrics"]["perplexity"]
    assert set(found["subjects"]) == {"student", "first"}
