"""What every selector promises, whoever wrote it: one battery over the catalogue."""

from itertools import islice

import numpy as np
import pytest

from limbeck.core.catalogue import REQUIRED, catalogue
from limbeck.selectors.less import Gradients

ROWS, WIDTH = 60, 8
ENTRIES = catalogue("selectors")
# A selector with required settings, or with a second way to go, gets them here.
OPTIONS: dict[str, list[dict[str, object]]] = {
    "competence": [{}, {"shape": "linear", "start": 0.3, "highest": True}],
    "difficulty": [{"low": 0.2, "high": 0.8}, {"low": 0.3, "highest": True}],
    "farthest": [{}, {"aim": "sum", "unit": "words"}],
    "k_center": [{}, {"first": 5, "outliers": 0.1}],
    "quota": [{}, {"shares": {"a": 1, "b": 3, "c": 0}}],
    "semantic_dedup": [{"threshold": 0.5, "clusters": 1}, {"clusters": 3}],
}
WHOLE = ("competence", "facility_location", "farthest", "herding", "length_order", "less", "random", "top_k")
"""Yield every row; the others leave rows out by their settings."""

CASES = [(name, options) for name in ENTRIES for options in OPTIONS.get(name, [{}])]
every = pytest.mark.parametrize(("name", "options"), CASES)


def features() -> dict[str, object]:
    draw = np.random.default_rng(0)

    def units(*shape: int) -> np.ndarray:
        found = draw.standard_normal(shape)
        return found / np.linalg.norm(found, axis=-1, keepdims=True)

    return {
        "count": ROWS,
        "scores": draw.random(ROWS),
        "groups": [*"abc"] * (ROWS // 3),
        "texts": [" ".join("xyz"[number] for number in draw.integers(3, size=6)) for _ in range(ROWS)],
        "lengths": draw.integers(1, 40, ROWS),
        "vectors": units(ROWS, WIDTH),
        "losses": draw.random(ROWS) + 0.1,
        "alone_losses": draw.random(ROWS) + 0.6,
        "gradients": Gradients(units(2, ROWS, 5), units(2, 6, 5), [*"uvwuvw"], [2e-4, 1e-4]),
    }


def picks(name, options, **changed):
    given = {**features(), **changed}
    entry = ENTRIES[name]
    return list(entry.load()(*(given[one] for one in entry.positional), **options))


def test_the_battery_has_an_example_for_every_setting_without_a_default():
    for name, options in CASES:
        needed = {key for key, default in ENTRIES[name].keywords.items() if default == REQUIRED}
        assert needed <= set(options), name


@pytest.mark.parametrize("name", ENTRIES)
def test_a_selector_says_what_it_needs_and_does(name):
    entry = ENTRIES[name]
    assert entry.module == f"limbeck.selectors.{name}" and set(entry.positional) <= set(features())
    assert entry.summary.endswith(".")
    assert all(word in entry.doc for word in ("Args:", "Returns:", "Raises:", "Example:", "Source:"))


@every
def test_rows_come_once_each_with_a_finite_score(name, options):
    found = picks(name, options)
    rows = [pick.row for pick in found]
    assert 0 < len(rows) == len(set(rows)) <= ROWS and set(rows) <= set(range(ROWS))
    assert all(type(pick.row) is int and type(pick.score) is float for pick in found)
    assert np.isfinite([pick.score for pick in found]).all()
    assert name not in WHOLE or len(rows) == ROWS


@every
def test_the_same_features_give_the_same_order(name, options):
    assert picks(name, options) == picks(name, options)


@every
def test_features_stay_as_they_are(name, options):
    given, kept = features(), features()
    picks(name, options, **given)
    for key, value in kept.items():
        assert np.array_equal(value, given[key]) if isinstance(value, np.ndarray) else True
    assert all(map(np.array_equal, kept["gradients"][:2], given["gradients"][:2]))


@every
def test_what_is_chosen_first_does_not_depend_on_how_many_follow(name, options):
    given, entry = features(), ENTRIES[name]
    some = islice(entry.load()(*(given[one] for one in entry.positional), **options), 5)
    assert list(some) == picks(name, options)[:5]


@every
def test_a_seed_draws_another_order(name, options):
    if "seed" in ENTRIES[name].keywords and name != "semantic_dedup":
        assert picks(name, {**options, "seed": 1}) != picks(name, {**options, "seed": 2})


@every
def test_one_row_is_an_answer_too(name, options):
    if name == "difficulty":
        options = {"low": -1.0}
    if "first" in options:
        options = {**options, "first": 0}
    if "shares" in options:
        options = {}
    whole = features()["gradients"]
    one = {
        key: 1 if key == "count" else value[:1]
        for key, value in features().items()
        if key not in ("gradients", "losses", "alone_losses")
    }
    found = picks(
        name, options, **one, gradients=whole._replace(train=whole.train[:, :1]),
        losses=np.array([0.5]), alone_losses=np.array([1.0]),
    )  # fmt: skip
    assert [pick.row for pick in found] == [0]
