"""DDK's weights: the paper's equations on numbers worked out apart, and what is drawn with them."""

from collections import Counter

import pytest
from scipy.stats import chisquare

from limbeck.core.seeds import derived_seed
from limbeck.schedules.domain_weights import chosen, first_weights, next_weights

NAMES = ("web", "code", "books")
TEACHER = (10.0, 8.0, 5.0)  # perplexities


def gaps(student: tuple[float, ...]) -> dict[str, float]:
    return {name: s / t for name, s, t in zip(NAMES, student, TEACHER, strict=True)}


def test_the_first_and_second_weights_follow_the_equations():
    first = first_weights(gaps((20.0, 10.0, 6.0)))
    assert list(first.values()) == pytest.approx([0.520374, 0.245807, 0.233819], abs=1e-6)
    second = next_weights(first, gaps((15.0, 9.6, 5.5)), smoothing=0.5)
    assert list(second.values()) == pytest.approx([0.469489, 0.272636, 0.257875], abs=1e-6)
    assert sum(second.values()) == pytest.approx(1)


def test_no_domain_falls_below_the_floor():
    weights = first_weights(gaps((20.0, 10.0, 6.0)))
    for _ in range(5):
        weights = next_weights(weights, {"web": 30.0, "code": 1.0, "books": 1.0}, smoothing=0.5)
        assert min(weights.values()) >= 1 / 6
    assert list(weights.values()) == pytest.approx([4 / 6, 1 / 6, 1 / 6])


def test_without_smoothing_one_domain_takes_all_and_with_full_smoothing_none():
    weights = dict.fromkeys(NAMES, 1 / 3)
    for _ in range(20):
        weights = next_weights(weights, {"web": 4.0, "code": 1.0, "books": 1.0}, smoothing=1.0)
    assert weights["web"] > 0.999
    assert next_weights(weights, gaps(TEACHER), smoothing=0.0) == pytest.approx(dict.fromkeys(NAMES, 1 / 3))


def test_ratios_beyond_the_limit_count_as_the_limit():
    assert first_weights({"a": 400.0, "b": 9.0, "c": 1.0}, limit=5.0) == first_weights(
        {"a": 5.0, "b": 5.0, "c": 1.0}
    )


def test_draws_follow_the_weights():
    weights, many = {"a": 0.6, "b": 0.3, "c": 0.1}, 3000
    drawn = Counter(chosen(weights, derived_seed(0, "test", n) / 2**63) for n in range(many))
    assert (
        chisquare([drawn[name] for name in weights], [many * share for share in weights.values()]).pvalue
        > 0.01
    )
