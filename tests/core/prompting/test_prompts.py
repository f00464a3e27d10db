"""Prompt files: requests and student rows by hand, and errors that name file and line."""

from pathlib import Path
from typing import Annotated

import pytest

from limbeck.core import limited
from limbeck.core.asking import Reply
from limbeck.core.errors import ConfigError
from limbeck.core.prompting import (
    Drawing,
    Fills,
    ParseFailed,
    PromptError,
    load_prompt,
    prompt_problems,
    shipped_prompts,
)

GREEDY = Drawing(max_tokens=8, temperature=0.0)

ASYMMETRIC = """\
about: reasons for the teacher, none for the student
version: 2
parser: {name: cue, cue: "So the answer is"}
stop: ["Q:"]
teacher:
  system: You reason.
  user: |
    {% for example in examples %}
    Q: {{ example.question }}
    {% endfor %}
    Q: {{ question }}
    Hint: {{ hint }}
student:
  user: "Q: {{ question }}"
examples:
  - question: 1+1?
  - question: 2+2?
"""


def written(folder: Path, text: str, name: str = "mine.yaml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_teacher_and_student_read_different_prompts(tmp_path) -> None:
    prompt = load_prompt(written(tmp_path, ASYMMETRIC))
    row = {"id": "a", "question": "3+3?", "answer": "6", "domain": "maths"}
    request = prompt.request(row, GREEDY, values={"hint": "6"}, sample=2)
    assert request.messages == (
        {"role": "system", "content": "You reason."},
        {"role": "user", "content": "Q: 1+1?\nQ: 2+2?\nQ: 3+3?\nHint: 6"},
    )
    assert (request.stop, request.sample, request.max_tokens, request.temperature) == (("Q:",), 2, 8, 0.0)
    found = prompt.parsed(Reply("3 and 3. So the answer is 6."))
    reasoned = "3 and 3. So the answer is 6."
    assert found == {"rationale": "3 and 3.", "answer": "6", "reasoned": reasoned}
    learnt = {"prompt": "Q: 3+3?", "completion": "6", "reference": "6", "domain": "maths"}
    assert prompt.learnt(row, found["answer"]) == learnt


def test_without_templates_both_read_what_the_row_asks() -> None:
    prompt = load_prompt("plain")
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    row = {"messages": [*turns, {"role": "assistant", "content": "See you"}]}
    assert prompt.request(row, GREEDY).messages == tuple(turns)
    made = prompt.learnt(row, "Farewell")
    given = [*turns[:2], {**turns[2], "train": False}, turns[3]]
    assert made["messages"] == [*given, {"role": "assistant", "content": "Farewell"}]
    assert made["reference"] == "See you"


def test_a_system_prompt_takes_the_place_of_the_rows_own(tmp_path) -> None:
    prompt = load_prompt(written(tmp_path, "about: x\nteacher: {system: Be long.}\n"))
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert prompt.request({"messages": turns}, GREEDY).messages == (
        {"role": "system", "content": "Be long."},
        {"role": "user", "content": "Hi"},
    )


def test_examples_can_be_turns(tmp_path) -> None:
    text = """\
about: x
teacher:
  shots: {user: "{{ q }}", assistant: "{{ a }}"}
examples: [{q: one, a: two}]
"""
    messages = load_prompt(written(tmp_path, text)).request({"prompt": "three"}, GREEDY).messages
    assert [turn["content"] for turn in messages] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "about: x\nteacher:\n  user: |\n    one\n    {{ questoin }}\n",
            r"mine.yaml:5: 'questoin' .*'question'",
        ),
        (
            "about: x\nteacher:\n  user: '{{ question.id.name }}'\n",
            r"mine.yaml:3: must use values that are there",
        ),
        ("about: x\nteacher:\n  user: |\n    {% if %}\n", r"mine.yaml:4: must be a jinja2 template"),
        ("about: x\nteacher:\n  user: |\n    \n    {{ 1 / 0 }}\n", r"mine.yaml:5: .*ZeroDivisionError"),
        ("about: x\nteacher:\n  user: |\n    {{ ''.__class__.__mro__ }}\n", r"mine.yaml:4: .*"),
        ("about: x\nteacher: [\n", r"mine.yaml:3: must be YAML"),
    ],
)
def test_says_what_is_wrong_with_file_and_line(tmp_path, text, said) -> None:
    with pytest.raises(PromptError, match=said):
        load_prompt(written(tmp_path, text)).request({"question": "q", "answer": "a"}, GREEDY)


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% set x = b %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(("template", "said"), [(ENDLESS, "0.05 s"), ("{{ 'x' * 10000000000 }}", "2 GB")])
def test_a_template_that_does_not_end_is_stopped_and_named(tmp_path, monkeypatch, template, said) -> None:
    monkeypatch.setattr(limited, "MOST_SECONDS", 0.05)
    file = written(tmp_path, f"about: x\nteacher:\n  user: |\n    one\n    {template}\n")
    with pytest.raises(PromptError, match=rf"mine.yaml:5: must end, got a template that needed .* {said}"):
        load_prompt(file).request({"prompt": "a"}, GREEDY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("about: x\nteachr: {}\n", "Did you mean 'teacher'"),
        ("about: x\nparser: cues\n", "unknown parser 'cues'. Did you mean 'cue'"),
        ("about: x\nparser: cue\n", "cue needs cue"),
        ("about: x\nparser: {name: cue, cue: a, lable: text}\n", "unknown setting 'lable'"),
        ("about: x\nparser: {name: cue, cue: a, take: middle}\n", "take must be 'only', 'first' or 'last'"),
        ("about: x\nteacher: {text: a, user: b}\n", "either text or turns"),
    ],
)
def test_refuses_files_that_say_what_cannot_be(tmp_path, text, said) -> None:
    with pytest.raises(ConfigError, match=said):
        load_prompt(written(tmp_path, text))


def test_a_name_that_is_none_says_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'plain'"):
        load_prompt("plane")


def test_all_problems_of_an_operators_prompts_are_found_before_anything_is_asked(tmp_path) -> None:
    file = written(tmp_path, "about: x\nteacher:\n  user: '{% if a %}{{ b }}{% endif %}{{ round }}'\n")

    async def operator(row, ask, *, prompt: Annotated[str, Fills(("round",), ("rationale",))] = "plain"):
        return []

    found = [str(one) for one in prompt_problems(operator, {"prompt": file}, ["a"])]
    assert len(found) == 2
    assert "mine.yaml:3: 'b' must be a column" in found[0]
    assert "must find rationale, got whole, which finds answer" in found[1]
    assert prompt_problems(operator, {"prompt": "no_such"}, ["a"])[0].message.startswith("must be a file")


def test_values_of_rows_are_never_templates(tmp_path) -> None:
    prompt = load_prompt(written(tmp_path, "about: x\nteacher: {user: '{{ task }}!'}\n"))
    messages = prompt.request({"prompt": "{{ 7 * 7 }} {% raw %}"}, GREEDY).messages
    assert messages[0]["content"] == "{{ 7 * 7 }} {% raw %}!"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("I do not know."), "no_cue"),
        (Reply("It is five, so", finish="length"), "length"),
        (Reply("  "), "empty"),
        (Reply("x So the answer is y", finish="content_filter"), "content_filter"),
    ],
)
def test_says_why_a_reply_cannot_be_read(tmp_path, reply, reason) -> None:
    with pytest.raises(ParseFailed) as failed:
        load_prompt(written(tmp_path, ASYMMETRIC)).parsed(reply)
    assert failed.value.reason == reason


def test_a_file_that_was_edited_is_read_again(tmp_path) -> None:
    file = written(tmp_path, "about: one\n")
    before = load_prompt(file)
    written(tmp_path, "about: another\n")
    after = load_prompt(file)
    assert (before.file.about, after.file.about) == ("one", "another")
    assert before.fingerprint != "" and after.fingerprint == load_prompt(file).fingerprint


@pytest.mark.parametrize("name", shipped_prompts())
def test_every_shipped_prompt_can_be_read(name) -> None:
    prompt = load_prompt(name)
    assert prompt.file.about.endswith(".")


def test_the_prompt_of_the_docs_is_one(tmp_path) -> None:
    page = Path(__file__).parents[3] / "docs" / "operators.md"
    text = page.read_text(encoding="utf-8").split("```yaml\nabout:")[1].split("```")[0]
    prompt = load_prompt(written(tmp_path, f"about:{text}"))
    request = prompt.request({"question": "Is sand wet?"}, GREEDY)
    assert request.messages[1]["content"].endswith("So the answer is yes.\n\nQ: Is sand wet?\nA:")
    assert prompt.parsed(Reply("Sand is dry. So the answer is no."))["answer"] == "no"
