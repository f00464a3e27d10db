"""The key of a request: what it depends on, what it does not, and that it never changes."""

import base64
import hashlib
import json
from pathlib import Path

import pytest

from limbeck.core.asking import Request
from limbeck.core.errors import ConfigError, RowError
from limbeck.endpoint.keys import canonical, request_key, sent_seed

GOLDEN = Path(__file__).with_name("keys.json")


def _key(request, model="m", label=""):
    return request_key(request, model=model, label=label)


def _asks(content="Hi", **settings):
    return Request(messages=({"role": "user", "content": content},), **settings)


def test_keys_are_those_of_the_golden_file():
    # Another key for the same question means that everything anyone paid for is asked again.
    for case in json.loads(GOLDEN.read_text()):
        request = Request(**{name: _tuples(name, value) for name, value in case["request"].items()})
        assert _key(request, case["model"], case["label"]) == case["key"], case["request"]


def _tuples(name, value):
    return tuple(value) if name in ("messages", "stop", "tools", "token_ids") else value


def test_a_key_is_the_hash_of_json_that_can_be_written_by_hand():
    content = (
        '{"effort":null,"extra":{},"label":"","logprobs":null,"max_tokens":256,"messages":[{"content":"Hé",'
        '"role":"user"}],"model":"m","prompt_logprobs":null,"sample":0,"schema":null,"seed":null,"stop":[],'
        '"temperature":1,"text":null,"token_ids":null,"tools":[],"top_p":1,"v":1}'
    )
    assert canonical(_asks("Hé"), model="m").decode() == content
    assert _key(_asks("Hé")) == hashlib.sha256(content.encode()).hexdigest()


@pytest.mark.parametrize(
    "other",
    [
        _asks("hi"), _asks(max_tokens=257), _asks(temperature=0.5), _asks(top_p=0.5), _asks(stop=("x",)),
        _asks(seed=0), _asks(sample=1), _asks(logprobs=0), _asks(prompt_logprobs=1), _asks(schema={}),
        _asks(tools=({"name": "f"},)), _asks(effort="low"), _asks(extra={"min_p": 0.1}), Request(text="Hi"),
        Request(token_ids=(1,)), _asks("Hi\u0301"), _asks("Hí"),
    ],
)  # fmt: skip
def test_everything_that_the_answer_depends_on_is_part_of_it(other):
    assert _key(other) != _key(_asks())


def test_the_model_and_its_label_are_part_of_it():
    assert len({_key(_asks()), _key(_asks(), "n"), _key(_asks(), "m", "int4")}) == 3


def test_one_question_in_several_spellings_has_one_key():
    same = [
        _asks(extra={"a": 1, "b": 0.0}), _asks(extra={"b": -0.0, "a": 1.0}, temperature=1, top_p=1.0),
        Request(messages=({"content": "Hi", "role": "user"},), extra={"a": 1, "b": 0}, max_tokens=256),
    ]  # fmt: skip
    assert len({_key(request) for request in same}) == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: "a"}, b"bytes", {"a"}])
def test_what_json_does_not_know_is_refused(value):
    with pytest.raises(ConfigError, match="must"):
        _key(_asks(extra={"value": value}))


def test_an_image_counts_by_its_bytes_wherever_it_lies(tmp_path):
    first, second, other = tmp_path / "a.png", tmp_path / "b.png", tmp_path / "c.png"
    first.write_bytes(b"picture")
    second.write_bytes(b"picture")
    other.write_bytes(b"another")
    data = f"data:image/png;base64,{base64.b64encode(b'picture').decode()}"

    def asks(place):
        return _asks([{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": place}}])

    keys = [_key(asks(place)) for place in (str(first), str(second), first.as_uri(), data)]
    assert len(set(keys)) == 1
    assert _key(asks(str(other))) != keys[0]
    assert b"cGljdHVyZQ" not in canonical(asks(data), model="m")
    other.write_bytes(b"picture")
    assert _key(asks(str(other))) == keys[0]
    web = canonical(asks("https://example.org/a.png"), model="m")
    assert b"https://example.org/a.png" in web


def test_an_image_that_is_not_there_or_damaged_is_said():
    for place in ("/nowhere/a.png", "data:image/png;base64,???"):
        with pytest.raises(RowError, match="image must be"):
            _key(_asks([{"type": "image_url", "image_url": {"url": place}}]))


def test_seeds_of_samples_differ_and_are_the_same_each_time():
    requests = [_asks(seed=3, sample=number) for number in range(100)]
    seeds = [sent_seed(request, _key(request)) for request in requests]
    assert len(set(seeds)) == 100 and seeds == [sent_seed(request, _key(request)) for request in requests]
    assert sent_seed(_asks(), _key(_asks())) is None
