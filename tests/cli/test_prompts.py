"""`limbeck prompts`: what is listed, filled from a row, and copied."""

import json

import pytest

from limbeck.core.prompting import SHIPPED, shipped_prompts


@pytest.fixture
def rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "r1", "question": "What is wet?", "choices": ["sand", "ink"], "answer": "ink"}\n')
    return path


def test_lists_all_prompts_with_the_operators_that_use_them(limbeck):
    found = {one["name"]: one for one in json.loads(limbeck("prompts", "list", "--json").out)}
    assert set(found) == set(shipped_prompts())
    assert found["judge_score"]["used_by"] == ["judge", "preferences"]
    assert "chain_of_density (chain_of_density)" in limbeck("prompts", "list").out


def test_shows_a_prompt_as_its_file_says_it(limbeck):
    assert limbeck("prompts", "show", "plain").out == (SHIPPED / "plain.yaml").read_text()


def test_shows_what_teacher_and_student_read_for_the_first_row(limbeck, rows):
    ended = limbeck("prompts", "show", "rationalise_wrong", f"data={rows}", "--json")
    shown = json.loads(ended.out)
    asked = "What is wet?\nAnswer Choices:\n(a) sand\n(b) ink"
    assert shown["teacher"][0][1].startswith(f"{asked}\n\n(Hint: the answer is <hint>.)")
    assert shown["student"] == [["user", asked]] and shown["parser"] == "cue"
    said = limbeck("prompts", "show", "rationalise_wrong", f"data={rows}").out
    assert "teacher reads, for row r1\n[user]\nWhat is wet?" in said


def test_renames_columns_as_a_load_step_does(limbeck, rows):
    ended = limbeck("prompts", "show", "plain", f"data={rows}", "columns.prompt=answer", "--json")
    assert ended.code == 2 or json.loads(ended.out)["student"] == [["user", "ink"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["show", "plane"], "must be a file or the name of a prompt, got 'plane'. Did you mean 'plain'?"),
        (["show", "plain", "split=train"], "data: must name rows, got none. Add data=FILE."),
        (["show", "plain", "dat=x"], "unknown word 'dat'. Did you mean 'data'?"),
        (["copy", "plane"], "Did you mean 'plain'?"),
    ],
)
def test_says_what_is_wrong(limbeck, words, said):
    ended = limbeck("prompts", *words)
    assert ended.code == 2 and said in " ".join(ended.errors)


def test_a_copy_is_the_users_and_never_written_over(limbeck, tmp_path, rows):
    ended = limbeck("prompts", "copy", "plain", "mine/first.yaml")
    copied = tmp_path / "mine" / "first.yaml"
    assert (
        copied.read_text() == (SHIPPED / "plain.yaml").read_text() and "prompt: mine/first.yaml" in ended.out
    )
    ended = limbeck("prompts", "copy", "plain", "mine/first.yaml")
    assert ended.code == 2 and "must be a new file" in " ".join(ended.errors)
    copied.write_text("about: Mine.\nteacher:\n  user: |\n    One line.\n    {{ questoin }}\n")
    ended = limbeck("prompts", "show", "mine/first.yaml", f"data={rows}")
    assert ended.code == 2 and "mine/first.yaml:5" in ended.err and "Did you mean 'question'?" in ended.err
