"""One command from a real server to a student: rows are elicited, gated and learnt from."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from tests.endpoint.fault_server import CONTENT_FILTER
from tests.endpoint.llama_server import LlamaServer, llama_server
from tests.runs.served import serving
from tests.runs.world import write_rows
from tests.tiny import tiny_llama

__all__ = ["llama_server"]

RECIPE = """
limbeck: 1
name: distilled
steps:
  - load: {{out: rows, path: {data}, heldout: 4}}
  - elicit:
      out: answers
      teacher: {{endpoint: "{url}", model: {model}, idle_timeout: 30, terms: may train others}}
      rows: rows.train
      operator: {{name: answer, max_new_tokens: 12}}
      gates: [{{name: length, min: 2}}]
      attempts: 4
      accept: 8
  - train:
      out: student
      student: {student}
      rows: answers
      objective: [cross_entropy]
      max_steps: 2
      max_length: 96
      learning_rate: 0.001
  - evaluate: {{model: student, rows: rows.heldout, metrics: [perplexity], max_length: 96}}
"""


@pytest.fixture
def recipe(tmp_path: Path, llama_server: LlamaServer) -> Path:
    write_rows(tmp_path / "d.jsonl", [{"prompt": f"the cat {n}", "completion": "sat"} for n in range(20)])
    tiny_llama(layers=1, seed=2).save_pretrained(tmp_path / "student")
    llama_server.tokenizer.save_pretrained(tmp_path / "student")
    text = RECIPE.format(
        data=tmp_path / "d.jsonl",
        url=llama_server.url,
        model=llama_server.name,
        student=tmp_path / "student",
    )
    (tmp_path / "distilled.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "distilled.yaml"


def test_a_recipe_elicits_answers_from_llama_cpp_and_trains_a_student_from_them(limbeck, recipe, tmp_path):
    planned = limbeck("plan", str(recipe), "--out", str(tmp_path / "run"))
    assert planned.code == 0 and "calls to tiny" in planned.out
    assert "Stops at 8 accepted rows" in planned.out
    done = limbeck("run", str(recipe), "--out", str(tmp_path / "run"))
    assert done.code == 0, done.err
    folder = tmp_path / "run" / "steps" / "1-elicit-answers"
    said = json.loads((folder / "yield.json").read_text())
    assert said["accepted"] == 8 and said["failed"] == 0 and said["tokens_out"] > 0
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "run" / "student").config.num_hidden_layers == 1
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "may train others" in page and "8 of " in page


ASKED = """
limbeck: 1
name: asked
steps:
  - load: {{out: rows, path: {data}, heldout: 0}}
  - elicit:
      out: made
      teacher: {{endpoint: "{url}", model: model, workers: 1, budget: {{calls: 4}}}}
      rows: rows.train
      operator: answer
"""


def test_a_spent_budget_ends_with_75_and_the_same_command_with_a_higher_one_goes_on(limbeck, tmp_path):
    write_rows(tmp_path / "d.jsonl", [{"prompt": f"question {n}"} for n in range(10)])
    with serving() as server:
        recipe = tmp_path / "asked.yaml"
        recipe.write_text(ASKED.format(data=tmp_path / "d.jsonl", url=server.url), encoding="utf-8")
        planned = limbeck("plan", recipe)
        assert planned.code == 0 and "budget.calls is 4, below what the step may need (10)" in planned.out
        paused = limbeck("run", recipe)
        assert paused.code == 75 and "paused: budget" in paused.err and "same command" in paused.err
        assert len(server.calls) == 4
        done = limbeck("run", recipe, "steps.made.teacher.budget.calls=20")
        assert done.code == 0, done.err
        assert "made: 10 of 10 candidates accepted, 10 calls (4 kept already)" in done.out
        assert len(server.calls) == 10


def test_too_many_failures_end_with_1_and_say_where_they_are_listed(limbeck, tmp_path):
    write_rows(tmp_path / "d.jsonl", [{"prompt": f"question {n}"} for n in range(10)])
    with serving(lambda call: CONTENT_FILTER) as server:
        recipe = tmp_path / "asked.yaml"
        recipe.write_text(ASKED.format(data=tmp_path / "d.jsonl", url=server.url), encoding="utf-8")
        ended = limbeck("run", recipe, "steps.made.teacher.budget.calls=20")
    assert (
        ended.code == 1
        and "got 5 of 5 (content_filter 5)" in ended.err
        and "failures.jsonl has each" in ended.err
    )
    assert "fault of limbeck" not in ended.err
