"""A rate far below what a small model takes is said in the plan, and only there."""

import pytest
from transformers import LlamaConfig

from limbeck.recipes import Train
from limbeck.runs.learning_rates import said_of_rate, usual_rate
from limbeck.runs.models import Shape


def said(parameters, rate, *, kind="causal", **fields):
    step = Train(
        out="s", student="S", rows="rows.train", objective=("cross_entropy",), learning_rate=rate, **fields
    )
    return said_of_rate(step, Shape(LlamaConfig(), kind, "", parameters))


def test_a_small_student_at_the_stock_rate_is_warned_of():
    assert said(169_152, 1e-4) == (
        "learning_rate 0.0001 is low for 169,152 parameters, which usually take about 0.003: the student may "
        "end far from its best."
    )


@pytest.mark.parametrize(
    ("parameters", "rate", "fields"),
    [
        (169_152, 1e-3, {}),
        (124_000_000, 1e-5, {}),
        (169_152, 1e-4, {"lora_r": 4}),
        (169_152, 1e-6, {"task": "preference"}),
        (169_152, 1e-5, {"kind": "classifier"}),
    ],
)
def test_usual_rates_large_models_adapters_preferences_and_encoders_are_left_alone(parameters, rate, fields):
    assert said(parameters, rate, **fields) is None


def test_larger_models_take_smaller_rates():
    rates = [usual_rate(size) for size in (10**5, 10**7, 10**8, 5 * 10**8, 10**10)]
    assert rates == sorted(rates, reverse=True)
