"""Tags, patterns, JSON, and answers that are whole."""

import pytest

from limbeck.core.errors import ConfigError
from limbeck.gates import finished, format, json_schema


def reasons(gate, texts, **settings):
    return [one.reason for one in gate([{"text": text} for text in texts], **settings)]


def test_tags_stand_once_each_closed_filled_and_in_order() -> None:
    texts = {
        "<think>a</think><answer>b</answer>": "accepted",
        "x <think>a</think> y <answer>b</answer> z": "accepted",
        "<answer>b</answer>": "missing",
        "<think>a</think><think>a</think><answer>b</answer>": "repeated",
        "<think>a<answer>b</answer>": "unclosed",
        "</think><think>a<answer>b</answer>": "unclosed",
        "<think> </think><answer>b</answer>": "empty",
        "<answer>b</answer><think>a</think>": "order",
        "<think>a<answer>b</answer></think>": "order",
    }
    assert reasons(format, texts, tags=["think", "answer"]) == list(texts.values())


def test_outside_of_the_tags_there_may_be_nothing_but_blanks() -> None:
    texts = ["<think>a</think>\n <answer>b</answer>\n", "<think>a</think>so <answer>b</answer>"]
    assert reasons(format, texts, tags=["think", "answer"], alone=True) == ["accepted", "outside"]


def test_thoughts_of_their_own_column_count_as_the_tag() -> None:
    rows = [
        {"text": "<answer>4</answer>", "reasoning": "2+2"},
        {"text": "<answer>4</answer>", "reasoning": None},
    ]
    assert [one.reason for one in format(rows, tags=["think", "answer"])] == ["accepted", "missing"]


def test_patterns_that_must_and_must_not_be_there() -> None:
    found = reasons(format, ["a1", "a", "b1 sorry"], pattern=r"\d\Z|\d ", forbidden="(?i)SORRY")
    assert found == ["accepted", "pattern", "forbidden"]
    with pytest.raises(ConfigError, match=r"pattern must be a regular expression, got '\('"):
        reasons(format, ["a"], pattern="(")
    with pytest.raises(ConfigError, match="Say what is asked for"):
        reasons(format, ["a"])


SCHEMA = {
    "type": "object",
    "properties": {"names": {"type": "array", "items": {"type": "string"}}},
    "required": ["names"],
    "additionalProperties": False,
}


def test_json_fits_its_schema_or_the_place_is_said() -> None:
    texts = {
        '{"names": ["a"]}': "accepted",
        'Here:\n```json\n{"names": []}\n```\n': "accepted",
        '{"names": [1]}': "schema",
        "{'names': []}": "unparsed",
        '{"names": [NaN]}': "unparsed",
        "[" * 100_000: "unparsed",
    }
    assert reasons(json_schema, texts, schema=SCHEMA) == list(texts.values())
    (found,) = json_schema([{"text": '{"names": ["a", 1]}'}], schema=SCHEMA)
    assert found.detail == "names.1: 1 is not of type 'string'"


def test_fences_can_be_a_part_of_the_text_that_is_read() -> None:
    assert reasons(json_schema, ["```json\n{}\n```"], schema={}, fences=False) == ["unparsed"]


def test_a_schema_that_is_none_is_refused_and_one_elsewhere_is_not_fetched() -> None:
    with pytest.raises(ConfigError, match="schema must be a JSON schema"):
        reasons(json_schema, ["{}"], schema={"type": "nothing"})
    with pytest.raises(ConfigError, match="http://localhost:1/x"):
        reasons(json_schema, ["{}"], schema={"$ref": "http://localhost:1/x"})


def test_cut_answers_are_refused() -> None:
    assert [one.reason for one in finished([{"finished": False}, {"finished": None}])] == ["cut", "accepted"]
