"""Answers that must fit a schema."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from limbeck.core.asking import FailureClass, Reply, Request, RequestFailed
from limbeck.core.errors import ConfigError
from limbeck.endpoint import Endpoint, Engine
from limbeck.endpoint.structured import (
    Fitting,
    Unfit,
    asked_by,
    check_schema,
    is_strict,
    lenient_json,
    read,
)
from tests.endpoint.scripted import Scripted as ScriptedTransport

ENDPOINT = Endpoint(url="http://127.0.0.1:9/v1", model="m")
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}
QUESTION = Request(messages=({"role": "user", "content": "How many?"},), schema=SCHEMA)


class Scripted:
    """A teacher that says one answer after the other and remembers what it was asked."""

    def __init__(self, *answers: Reply | str) -> None:
        self.answers = [Reply(answer) if isinstance(answer, str) else answer for answer in answers]
        self.asked: list[Request] = []

    async def __call__(self, request: Request) -> Reply:
        self.asked.append(request)
        return self.answers[len(self.asked) - 1]


@pytest.mark.parametrize(
    "text",
    [
        'The answer:\n```json\n{"n": 3}\n```\nDone.',
        '{"n": 3,}',
        "{'n': 3}",
        'Here you are: {"n": 3} (three)',
        "```\n{'n': 3,}\n```",
    ],
)
def test_answers_that_are_not_quite_json_are_read_by_the_lenient_parser(text: str) -> None:
    found = read(text, SCHEMA)
    assert (found.value, found.parser) == ({"n": 3}, "lenient")
    with pytest.raises(Unfit, match="no JSON"):
        read(text, SCHEMA, lenient=False)


def test_commas_and_quotes_within_strings_stay() -> None:
    assert next(lenient_json("""{"a": "x,}", "b": "it's",}""")) == {"a": "x,}", "b": "it's"}
    assert next(lenient_json("{'a': None, 'b': true, 'c': [-1.5]}")) == {"a": None, "b": True, "c": [-1.5]}


@pytest.mark.parametrize(
    "text", ["__import__('os').system('x')", "{'a': open('x')}", "[" * 100_000, "{" * 300 + "}" * 300, ""]
)
def test_hostile_text_is_no_json_and_is_not_run(text: str) -> None:
    with pytest.raises(Unfit):
        read(text, SCHEMA)


@pytest.mark.parametrize(("text", "why"), [('{"n": NaN}', "NaN"), ('{"n": 1, "n": 2}', "twice")])
def test_what_json_does_not_allow_is_no_json(text: str, why: str) -> None:
    with pytest.raises(Unfit, match=why):
        read(text, SCHEMA, lenient=False)


def test_the_error_names_the_place_in_the_answer() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "array", "items": {"type": "integer"}}}}
    with pytest.raises(Unfit, match=r"'x' is not of type 'integer' at \['n'\]\[1\]"):
        read('{"n": [1, "x"]}', schema)


def test_references_to_other_documents_are_not_followed() -> None:
    with pytest.raises(ConfigError, match=r"got 'http://127\.0\.0\.1:1/schema\.json'"):
        read("{}", {"$ref": "http://127.0.0.1:1/schema.json"})


def test_what_is_no_schema_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"at schema\['properties'\]\['n'\]\['type'\]"):
        check_schema({"properties": {"n": {"type": "whole"}}})


def test_a_schema_is_strict_only_if_all_its_objects_are() -> None:
    assert is_strict(SCHEMA)
    assert not is_strict({**SCHEMA, "required": []})
    assert not is_strict({"type": "array", "items": {"type": "object"}})
    assert is_strict({**SCHEMA, "properties": {"n": {"enum": [{"type": "object"}]}}})


def test_an_answer_that_does_not_fit_is_asked_for_again_with_its_error() -> None:
    teacher = Scripted('{"m": 3}', '{"n": 3}')
    ask = Fitting(teacher)
    reply = asyncio.run(ask(QUESTION))
    assert (reply.parsed, reply.text) == ({"n": 3}, '{"n": 3}')
    assert (ask.asked_again, ask.read_by) == (1, {"json": 1})
    question, answer, again = teacher.asked[1].messages
    assert (question, answer["content"]) == (QUESTION.messages[0], '{"m": 3}')
    assert "'n' is a required property" in again["content"]


def test_asking_again_ends_after_so_many_times() -> None:
    teacher = Scripted("no", "no", "no", "no")
    with pytest.raises(RequestFailed, match="does not fit") as caught:
        asyncio.run(Fitting(teacher, again=2)(QUESTION))
    assert len(teacher.asked) == 3
    failure = caught.value.failure
    assert (failure.kind, failure.reason, failure.attempts) == (FailureClass.SEMANTIC, "schema", 3)


def test_an_answer_that_was_cut_is_not_asked_for_again() -> None:
    teacher = Scripted(Reply('{"n": ', finish="length"))
    with pytest.raises(RequestFailed, match="Raise max_tokens"):
        asyncio.run(Fitting(teacher)(QUESTION))


def test_tiers_ask_by_the_fields_that_servers_know() -> None:
    request, fields = asked_by(QUESTION, "json_schema")
    held = {"name": "answer", "strict": True, "schema": SCHEMA}
    assert (request, fields) == (
        QUESTION, {"response_format": {"type": "json_schema", "json_schema": held}},
    )  # fmt: skip
    assert asked_by(QUESTION, "grammar")[1] == {"structured_outputs": {"json": SCHEMA}, "json_schema": SCHEMA}
    request, fields = asked_by(QUESTION, "json_object")
    assert fields == {"response_format": {"type": "json_object"}}
    assert json.dumps(SCHEMA) in request.messages[-1]["content"]
    request, fields = asked_by(QUESTION, "prompt")
    assert (fields, request.messages[-1]["content"][:9]) == ({}, "How many?")


def test_an_engine_holds_answers_to_their_schema_and_keeps_them_as_they_were_written(tmp_path: Path) -> None:
    async def run() -> tuple[Reply, int, Counter[str]]:
        teacher = ScriptedTransport(lambda request: "{'n': 3}" if len(request.messages) > 1 else "three")
        async with Engine(ENDPOINT, teacher, journal=tmp_path / "j.sqlite") as engine:
            return await engine.ask(QUESTION), teacher.calls, engine.fitting.read_by

    first, second = asyncio.run(run()), asyncio.run(run())
    assert (first[0].parsed, first[0].text, first[1]) == ({"n": 3}, "{'n': 3}", 2)
    assert (second[0].parsed, second[1]) == ({"n": 3}, 0)  # kept, and read again without a call
    assert first[2] == second[2] == {"lenient": 1}
