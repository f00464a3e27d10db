"""`balance: gradient_magnitude` in whole runs, causal and seq2seq."""

import json
from pathlib import Path

import pytest

import limbeck
from limbeck.runs.record.progress import Silent

TINY = {
    "max_steps": 3,
    "per_device_train_batch_size": 4,
    "heldout": 6,
    "max_length": 48,
    "learning_rate": 1e-3,
}


def lines(folder: Path, phase: str) -> list[dict]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["terms"] for line in found if line["phase"] == phase]


def test_word_kd_balanced(world, tmp_path):
    done = limbeck.run(
        "word_kd", tmp_path / "run", progress=Silent(), teacher=str(world / "teacher"),
        student=str(world / "student"), data=str(world / "answers.jsonl"),
        **TINY, **{"steps.2.train.balance": "gradient_magnitude", "steps.3.evaluate.metrics": ["perplexity"]},
    )  # fmt: skip
    assert "balance: gradient_magnitude" in (done.folder / "recipe.yaml").read_text()
    for terms in lines(done.folder, "student"):
        assert set(terms) == {"cross_entropy", "forward_kl", "weight_cross_entropy", "weight_forward_kl"}
        assert terms["weight_cross_entropy"] + terms["weight_forward_kl"] == pytest.approx(1.0)
    assert all("weight_cross_entropy" not in terms for terms in lines(done.folder, "baseline"))


def test_two_tasks_of_a_seq2seq_student_balanced(world, tmp_path):
    done = limbeck.run(
        "step_by_step", tmp_path / "run", progress=Silent(), student=str(world / "t5"),
        data=str(world / "reasons.jsonl"),
        columns={"rationale": "llm_rationale"}, **TINY, **{
            "steps.2.train.balance": "gradient_magnitude", "steps.3.evaluate.metrics": ["generation"],
            "steps.3.evaluate.max_new_tokens": 4, "steps.3.evaluate.prompts": 4,
        },
    )  # fmt: skip
    for terms in lines(done.folder, "student"):
        assert sum(value for name, value in terms.items() if name.startswith("weight_")) == pytest.approx(1.0)
