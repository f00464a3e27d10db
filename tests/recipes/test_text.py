"""YAML that would take for ever, or is no plain data, is refused at once."""

import itertools
import time

import pytest

from limbeck.core.errors import ConfigError
from limbeck.recipes.text import read_yaml

LETTERS = "abcdefghi"


def laughs(first: str, pattern: str) -> str:
    """Nine aliases of nine aliases of ...: 9^9 values in nine lines."""
    lines = [f"a: &a {first}"]
    for old, new in itertools.pairwise(LETTERS):
        lines.append(f"{new}: &{new} " + pattern.format(", ".join([f"*{old}"] * 9)))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            laughs("[x, x, x]", "[{}]"),
            r"line \d+, column \d+: it has more than 10,000 values, aliases",
        ),
        (laughs("{x: y}", "{{<<: [{}]}}"), "more than 10,000 values, aliases counted"),
        ("a: &a [*a]", "more than 10,000 values, aliases counted"),
        ("[" * 10_000, "line 1, column 51: it nests more than 50 deep"),
        ("[" * 10_000 + "]" * 10_000, "nests more than 50 deep"),
        ("- " * 3_000 + "x", "nests more than 50 deep"),
        ("{" * 10_000, "nests more than 50 deep"),
        ("a: " + "x" * 1_000_000, "must be YAML of at most 500,000 characters, got 1,000,003"),
        ("a: " + "1" * 5_000, "a value cannot be read"),
        ("[" + "1, " * 20_000 + "]", "more than 10,000 values"),
        ("!!int x", "a value cannot be read"),
        ("!!bool x", "a value cannot be read"),
        ("a: !!timestamp 2001-01-01", "the tag tag:yaml.org,2002:timestamp is not known here"),
        ("!!python/object:os.system x", "the tag .*python/object:os.system is not known here"),
        ("{[a]: 1}", "a key must be a word or a number"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: key 'a' is there twice"),
        ("a: \x00", "special characters are not allowed"),
    ],
)
def test_text_that_is_no_recipe_is_refused_at_once(text, said):
    started = time.perf_counter()
    with pytest.raises(ConfigError, match=said):
        read_yaml(text)
    assert time.perf_counter() - started < 10, "minutes without the limits"


def test_aliases_and_merged_keys_may_be_used():
    text = "a: &a {x: 1, y: [2, 3]}\nb: {<<: *a, x: 4}\nc: [*a, *a]"
    both = {"x": 1, "y": [2, 3]}
    assert read_yaml(text) == {"a": both, "b": {"x": 4, "y": [2, 3]}, "c": [both, both]}
