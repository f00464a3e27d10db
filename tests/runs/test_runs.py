"""Whole runs at size tiny: every recipe makes a student that transformers loads, and a comparison."""

import json
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

import limbeck
from limbeck.runs.record.progress import Silent

TINY = {
    "max_steps": 2,
    "per_device_train_batch_size": 4,
    "heldout": 6,
    "max_length": 48,
    "learning_rate": 1e-3,
}


def run(recipe: str, out: Path, **inputs):
    return limbeck.run(recipe, out, progress=Silent(), **(TINY | inputs))


def names(evaluation) -> list[str]:
    return sorted(subject["name"] for subject in evaluation["subjects"])


def test_word_kd_of_a_cut_student(world, tmp_path):
    done = run(
        "word_kd", tmp_path / "run", teacher=str(world / "teacher"),
        student={"cut": str(world / "teacher"), "layers": 2}, data=str(world / "texts.jsonl"),
        **{"steps.4.evaluate.metrics": ["perplexity", "fidelity"]},
    )  # fmt: skip
    student = AutoModelForCausalLM.from_pretrained(done.student)
    assert student.config.num_hidden_layers == 2
    assert AutoTokenizer.from_pretrained(done.student)("the cat")["input_ids"]
    assert names(done.evaluation) == ["baseline", "student", "teacher"]
    assert {path.name for path in done.folder.iterdir()} >= {
        "recipe.yaml", "versions.json", "metrics.jsonl", "steps", "student", "evaluation.json", "report.html"
    }  # fmt: skip
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    assert [(line["phase"], line["step"]) for line in lines] == [
        ("baseline", 1), ("baseline", 2), ("student", 1), ("student", 2)
    ]  # fmt: skip
    assert set(lines[-1]["terms"]) == {"cross_entropy", "forward_kl"}
    example = json.loads((done.folder / "steps" / "3-train-student" / "done.json").read_text())["example"]
    # Plain text: every token is in the loss but the first, which nothing predicts.
    assert example["in_loss"] == example["tokens"] - 1
    rendered = len((world / "texts.jsonl").read_text().splitlines()) - TINY["heldout"]
    assert example["all_in_loss"] == example["all_tokens"] - rendered
    assert sorted(path.name for path in (done.folder / "steps").iterdir()) == [
        "0-load-rows", "1-build-start", "2-train-baseline", "3-train-student", "4-evaluate-evaluation"
    ]  # fmt: skip


def test_a_student_that_learns_nothing_from_its_teacher_is_the_baseline(world, tmp_path):
    # kd_ratio 0 leaves cross-entropy alone: both trainings must then be the same, number for number.
    done = run(
        "word_kd", tmp_path / "run", teacher=str(world / "teacher"), student=str(world / "student"),
        data=str(world / "answers.jsonl"), kd_ratio=0.0, **{"steps.3.evaluate.metrics": ["perplexity"]},
    )  # fmt: skip
    steps = done.folder / "steps"
    weights = [
        AutoModelForCausalLM.from_pretrained(steps / name / "model").state_dict()
        for name in ("1-train-baseline", "2-train-student")
    ]
    for name, weight in weights[0].items():
        assert torch.equal(weight, weights[1][name]), name


def test_seq_kd_learns_what_the_teacher_wrote(world, tmp_path):
    done = run(
        "seq_kd", tmp_path / "run", teacher=str(world / "teacher"), student=str(world / "student"),
        data=str(world / "answers.jsonl"), max_new_tokens=5, sampling_temperature=0.0,
        **{"steps.4.evaluate.metrics": ["perplexity"]},
    )  # fmt: skip
    from datasets import load_from_disk

    written = load_from_disk(str(done.folder / "steps" / "2-generate-written" / "rows"))
    asked = load_from_disk(str(done.folder / "steps" / "0-load-rows" / "train"))
    kept = [row for row in asked["id"] if row in set(written["id"])]
    assert list(written["id"]) == kept
    prompts = dict(zip(asked["id"], asked["prompt"], strict=True))
    assert [prompts[name] for name in written["id"]] == list(written["prompt"])
    assert set(written["completion"]).isdisjoint(asked["completion"])


def test_seq_kd_continues_plain_text(world, tmp_path):
    done = run(
        "seq_kd", tmp_path / "run", teacher=str(world / "teacher"), student=str(world / "student"),
        data=str(world / "texts.jsonl"), max_new_tokens=4, baseline=False, **{
            "steps.1.generate.prompt_tokens": 6, "steps.1.generate.samples": 2,
            "steps.3.evaluate.metrics": ["perplexity"],
        },
    )  # fmt: skip
    from datasets import load_from_disk

    written = load_from_disk(str(done.folder / "steps" / "1-generate-written" / "rows"))
    asked = load_from_disk(str(done.folder / "steps" / "0-load-rows" / "train"))
    texts = dict(zip(asked["id"], asked["text"], strict=True))
    # Texts of more than 6 + 4 tokens have several windows, each with a prompt of its own.
    assert len(written) > 2 * len(asked)
    for row in written:
        assert row["text"][:5] in texts[row["id"].partition("~")[0].partition("#")[0]]
    cut = len(written) - sum(written["finished"])
    assert cut > len(written) / 2
    said = json.loads((done.folder / "steps" / "1-generate-written" / "done.json").read_text())["notes"]
    assert any(note.startswith(f"{cut} completions were cut at 4 tokens") for note in said)


def test_an_answer_that_was_cut_is_not_taught_to_end():
    from datasets import Dataset

    from limbeck.rows.render import render
    from limbeck.rows.rendering import Rendering
    from tests.tiny import EOS, tiny_tokenizer

    rows = Dataset.from_list(
        [
            {"id": "whole", "prompt": "the cat", "completion": " sat", "finished": True},
            {"id": "cut", "prompt": "the cat", "completion": " sat", "finished": False},
        ]
    )
    rendered = render(rows, tiny_tokenizer(), Rendering(model_kind="causal", max_length=64))
    whole, cut = rendered["input_ids"]
    assert list(whole) == [*cut, EOS]


@pytest.mark.parametrize(
    ("model", "kind"), [("t5", AutoModelForSeq2SeqLM), ("student", AutoModelForCausalLM)]
)
def test_step_by_step_learns_two_tasks(world, tmp_path, model, kind):
    done = run(
        "step_by_step", tmp_path / "run", student=str(world / model), data=str(world / "reasons.jsonl"),
        columns={"rationale": "llm_rationale"}, **{"steps.3.evaluate.metrics": ["generation"],
        "steps.3.evaluate.max_new_tokens": 4, "steps.3.evaluate.prompts": 4},
    )  # fmt: skip
    kind.from_pretrained(done.student)
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    assert [sorted(line["terms"]) for line in lines if line["step"] == 1] == [
        ["cross_entropy_label"], ["cross_entropy_label", "cross_entropy_rationale"]
    ]  # fmt: skip
    # Equal weights and the same rows in the same order: the first label loss cannot differ.
    first = [line["terms"]["cross_entropy_label"] for line in lines if line["step"] == 1]
    assert first[0] == pytest.approx(first[1], rel=1e-5)
    assert done.evaluation["metrics"]["generation"]["task"]["name"] == "exact_match"


def test_minilm_of_a_cut_encoder(world, tmp_path):
    done = run(
        "minilm", tmp_path / "run", teacher=str(world / "bert"), layers=2, relation_heads=8,
        data=str(world / "texts.jsonl"),
    )  # fmt: skip
    assert AutoModel.from_pretrained(done.student).config.num_hidden_layers == 2
    assert set(done.evaluation["metrics"]) == {"similarity", "speed"}
    assert names(done.evaluation) == ["baseline", "student", "teacher"]


def test_pkd_tunes_its_teacher_first(world, tmp_path):
    done = run(
        "pkd", tmp_path / "run", teacher=str(world / "bert"), layers=2, teacher_layers=4,
        data=str(world / "labels.jsonl"), **{"steps.5.evaluate.metrics": ["classification"]},
    )  # fmt: skip
    student = AutoModelForSequenceClassification.from_pretrained(done.student)
    assert (student.config.num_hidden_layers, student.config.num_labels) == (2, 3)
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    assert list(dict.fromkeys(line["phase"] for line in lines)) == ["tuned", "baseline", "student"]
    assert set(lines[-1]["terms"]) == {"cross_entropy", "forward_kl", "patient"}
    assert "label_loyalty" in done.evaluation["metrics"]["classification"]["subjects"]["student"]


@pytest.mark.parametrize("recipe", ["akl", "decoupled_kd"])
def test_a_divergence_is_compared_with_forward_kl_by_name(world, tmp_path, recipe):
    done = run(
        recipe, tmp_path / "run", teacher=str(world / "teacher"), student=str(world / "student"),
        data=str(world / "answers.jsonl"), **{"steps.3.evaluate.metrics": ["fidelity"]},
    )  # fmt: skip
    assert names(done.evaluation) == ["forward", "student", "teacher"]
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["phase"] for line in lines] == ["forward", "forward", "student", "student"]


def test_redi_learns_right_answers_and_then_pairs(world, tmp_path):
    done = run(
        "redi", tmp_path / "run", student=str(world / "student"), data=str(world / "pairs.jsonl"),
        gradient_accumulation_steps=2, pairs_gradient_accumulation_steps=2, pairs_learning_rate=1e-3,
        **{"steps.4.evaluate.metrics": ["perplexity"]},
    )  # fmt: skip
    AutoModelForCausalLM.from_pretrained(done.student)
    assert names(done.evaluation) == ["right_only", "student"]
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    first = {line["phase"]: line["terms"] for line in lines if line["step"] == 1}
    assert sorted(first["student"]) == ["cross_entropy_chosen", "cross_entropy_rejected"]
    assert sorted(first["right_only"]) == ["cross_entropy_chosen"]
    # Both second stages start from the same student, with the same rows in the same order.
    same = [first[phase]["cross_entropy_chosen"] for phase in ("right_only", "student")]
    assert same[0] == pytest.approx(same[1], rel=1e-5)


def test_cost_effective_learns_scores_of_a_tuned_teacher_and_then_labels(world, tmp_path):
    done = run(
        "cost_effective", tmp_path / "run", teacher=str(world / "bert"),
        student={"cut": str(world / "bert"), "layers": 2}, data=str(world / "labels.jsonl"),
        **{"steps.7.evaluate.metrics": ["classification"]},
    )  # fmt: skip
    student = AutoModelForSequenceClassification.from_pretrained(done.student)
    assert (student.config.num_hidden_layers, student.config.num_labels) == (2, 3)
    lines = [json.loads(line) for line in (done.folder / "metrics.jsonl").read_text().splitlines()]
    terms = {line["phase"]: sorted(line["terms"]) for line in lines}
    assert terms["scored"] == ["corrected_mse", "cross_entropy"]
    assert terms["student"] == terms["baseline"] == ["cross_entropy"]
    assert "label_loyalty" in done.evaluation["metrics"]["classification"]["subjects"]["student"]


def test_a_run_ends_with_a_report_and_a_card(world, tmp_path, real_report):
    done = run(
        "sft", tmp_path / "run", student=str(world / "student"), data=str(world / "answers.jsonl"),
        **{"steps.2.evaluate.metrics": ["perplexity"]},
    )  # fmt: skip
    assert done.report.read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html>")
    assert "student" in (done.folder / "README.md").read_text(encoding="utf-8")
