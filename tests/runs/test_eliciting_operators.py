"""Operators in a step, against a served teacher: prompts of one's own, pools, what is refused."""

import json
from pathlib import Path

import pytest
from datasets import load_from_disk

from limbeck.core import limited
from limbeck.core.errors import ConfigError, RunFolderError
from limbeck.runs.checking.plan import make_plan
from tests.endpoint.fault_server import Call
from tests.runs.served import serving
from tests.runs.test_elicit import recipe, rows_in, run
from tests.runs.world import write_rows

MINE = "about: Mine.\nteacher:\n  user: |\n    {name}, please:\n    {{{{ {column} }}}}\n"


@pytest.fixture
def data(tmp_path):
    write_rows(tmp_path / "rows.jsonl", [{"prompt": f"question {n}", "completion": f"{n}"} for n in range(4)])
    return tmp_path


def asking(data, name: str, column: str = "prompt") -> dict:
    path = data / "mine.yaml"
    path.write_text(MINE.format(name=name, column=column), encoding="utf-8")
    return {"name": "answer", "prompt": str(path), "max_new_tokens": 8}


def test_an_edited_prompt_is_another_step(data):
    with serving() as server:
        folder = run(recipe(data, server.url, operator=asking(data, "Ada")), data / "run")
        assert rows_in(folder / "rows")[0]["completion"] == "answer to Ada, please:\nquestion 0"
        assert rows_in(folder / "rows")[0]["prompt"] == "question 0"  # which the student reads
        run(recipe(data, server.url, operator=asking(data, "Ada")), data / "run")
        assert len(server.calls) == 4
        with pytest.raises(RunFolderError, match=r"prompt .*mine.yaml"):
            run(recipe(data, server.url, operator=asking(data, "Bob")), data / "run")
        run(recipe(data, server.url, operator=asking(data, "Bob")), data / "other")
        assert len(server.calls) == 8


def test_a_template_that_asks_for_what_is_not_there_is_refused_before_anybody_is_asked(data):
    with serving() as server:
        for act in (lambda made: make_plan(made, data / "run"), lambda made: run(made, data / "run")):
            with pytest.raises(ConfigError) as refused:
                act(recipe(data, server.url, operator=asking(data, "Ada", "promt")))
            said = str(refused.value)
            assert "mine.yaml:5: 'promt' must be a column of the rows" in said and "'prompt'" in said
        assert not server.calls


def test_answers_that_cannot_be_read_are_kept_apart_with_their_reason(data):
    def says(call: Call) -> str:
        number = call.prompt.split()[1]
        return f"I thought.\nAnswer: {number}" if number in "02" else "I do not know."

    with serving(says=says) as server:
        operator = {"name": "rationalise", "learn": "answer"}
        made = recipe(data, server.url, operator=operator, gates=[{"name": "length", "max": 10}])
        folder = run(made, data / "run")
    assert [row["completion"] for row in rows_in(folder / "rows")] == ["0", "2"]
    refused = rows_in(folder / "rejected")
    assert [json.loads(row["verdicts"])[0]["reply"] for row in refused] == ["I do not know."] * 2
    said = json.loads((folder / "yield.json").read_text())
    # Four candidates: the operator looks at all of them, the gate at the two that it could read.
    assert said["gates"] == [
        {"gate": "rationalise", "judged": 4, "rejected": 2, "reasons": {"no_cue": 2}},
        {"gate": "length", "judged": 2, "rejected": 0, "reasons": {}},
    ]


def test_an_operator_of_a_pool_sees_all_rows_together(data):
    def says(call: Call) -> str:
        number = call.prompt.split()[-1]
        return json.dumps([[f"question {number}", f"type {number}"]])

    with serving(says=says) as server:
        folder = run(recipe(data, server.url, operator={"name": "extract_entities"}), data / "run")
        assert len(server.calls) == 4
    rows = load_from_disk(str(folder / "rows"))
    assert len(rows) == 4
    asked = [turn["content"] for turn in rows[0]["messages"] if turn["content"].startswith("What describes")]
    assert len(asked) == 2 and "What describes type 0 in the text?" in asked


def test_a_template_that_does_not_end_is_told_once_with_its_line_by_the_plan(data, monkeypatch):
    monkeypatch.setattr(limited, "MOST_SECONDS", 0.05)
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    path = data / "endless.yaml"
    path.write_text(f"about: x\nteacher:\n  user: |\n    {endless}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        make_plan(
            recipe(data, "http://127.0.0.1:1/v1", operator={"name": "answer", "prompt": str(path)}),
            data / "run",
        )
    (problem,) = refused.value.problems
    assert "endless.yaml:4: must end, got a template that needed more than 0.05 s" in str(problem)


def test_a_prompt_file_of_the_current_folder_is_named_as_the_user_named_it(data, monkeypatch):
    monkeypatch.chdir(data)
    Path("mine.yaml").write_text("about: x\nteacher:\n  user: '{{ promt }}'\n", encoding="utf-8")
    made = recipe(data, "http://127.0.0.1:1/v1", operator={"name": "answer", "prompt": "mine.yaml"})
    with pytest.raises(ConfigError) as refused:
        make_plan(made, data / "run")
    (problem,) = refused.value.problems
    assert "elicit: mine.yaml:3: 'promt' must be" in str(problem) and "Did you mean 'prompt'" in str(problem)
