"""Document understanding: who reads the page how, in which order it is learnt, and who is measured."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

import limbeck
from limbeck import recipes
from limbeck.core.errors import ConfigError
from limbeck.recipes import Train
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import Call
from tests.runs.served import serving
from tests.runs.world import write_rows

SMALL = {
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "heldout": 2,
    "max_new_tokens": 4,
    "learning_rate": 1e-3,
}


LINES = range(1, 9)


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """Pages with a number far right of its name; longer ones for higher numbers."""
    rows = [
        {
            "question": f"What is total {n}?",
            "answer": str(10 * n),
            "words": ["total", str(10 * n), *["more"] * n],
            "boxes": [[0, 0, 50, 10], [200, 0, 220, 10], *([0, 20 * k, 40, 20 * k + 10] for k in LINES[:n])],
        }
        for n in range(1, 9)
    ]
    write_rows(tmp_path / "pages.jsonl", rows)
    return tmp_path / "pages.jsonl"


def says(call: Call) -> str:
    return call.prompt.split("total ")[1].split("?")[0] + "0"


def made(run: Path, out: str) -> list[dict[str, Any]]:
    (step,) = run.glob(f"steps/*-{out}")
    return load_from_disk(str(step / "rows")).to_list()


def test_the_student_reads_the_page_with_its_layout_easy_ones_first(world, pages, tmp_path):
    with serving(says=says) as server:
        recipe = recipes.document_understanding(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(world / "t5"),
            data=str(pages),
            **SMALL,
        )
        run = limbeck.run(recipe, tmp_path / "run", progress=Silent()).folder
        assert len(server.calls) == 8, "once for each page, the held-out ones among them"
    learnt = made(run, "ordered")
    for row in learnt:
        first, _, page = row["prompt"].partition("\n\n")
        number = first.removeprefix("What is total ").removesuffix("?")
        # Words are ten units a letter wide: 20 columns, of which the first word takes five.
        assert page.split("\n")[0] == f"total <15> {number}0"
        assert row["completion"] == f"{number}0" and "words of the page alone" in row["asked"]
    lengths = [len(row["prompt"]) for row in learnt]
    assert lengths == sorted(lengths)
    told = json.loads(next(run.glob("steps/*-elicit-teacher/yield.json")).read_text())
    assert told["scores"] == {"anls": 1.0} and told["candidates"] == 2
    metrics = json.loads((run / "evaluation.json").read_text())["metrics"]
    assert set(metrics["anls"]["subjects"]) == {"student", "baseline"}


def test_student_and_baseline_differ_in_their_order_alone():
    recipe = recipes.document_understanding(teacher="T", student="S", data="d")
    baseline, student = (step for step in recipe.steps if isinstance(step, Train))
    differ = {"out", "order"}
    assert baseline.model_dump(exclude=differ) == student.model_dump(exclude=differ)
    assert (baseline.order, student.order) == ("shuffled", "competence")


def test_a_student_whose_tokenizer_loses_the_layout_is_refused_before_any_question(world, pages, tmp_path):
    student = shutil.copytree(world / "t5", tmp_path / "words")
    words = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(student)
    with serving(says=says) as server:
        recipe = recipes.document_understanding(
            teacher={"endpoint": server.url, "model": "model"},
            student=str(student),
            data=str(pages),
            spaces="keep",
            **SMALL,
        )
        with pytest.raises(ConfigError, match=r"must be count for .*words, got keep"):
            limbeck.run(recipe, tmp_path / "run", progress=Silent())
        assert not server.calls
