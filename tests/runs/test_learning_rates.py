"""`auto` is the usual rate of what is trained; a number far below what a small model takes is said."""

import pytest

from limbeck.core.errors import ConfigError
from limbeck.recipes import Train, word_kd
from limbeck.recipes.check import check
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Load
from limbeck.runs.assembly.learning_rates import note_of_rate, peak_rate


def step(rate="auto", **fields):
    return Train(
        out="s", student="S", rows="rows.train", objective=("cross_entropy",), learning_rate=rate, **fields
    )


@pytest.mark.parametrize(
    ("kind", "parameters", "fields", "rate"),
    [
        ("causal", 169_152, {}, 3e-3),
        ("causal", 67_253_184, {}, 3e-4),
        ("seq2seq", 250_000_000, {}, 3e-4),
        ("causal", 596_000_000, {}, 1e-4),
        ("causal", 8_000_000_000, {}, 2e-5),
        ("causal", 8_000_000_000, {"lora_r": 16}, 2e-4),
        ("causal", 169_152, {"lora_r": 8}, 1e-2),
        ("classifier", 4_400_000, {}, 3e-4),
        ("classifier", 110_000_000, {}, 2e-5),
        ("encoder", 22_700_000, {}, 6e-4),
    ],
)
def test_auto_is_the_usual_rate_of_what_is_trained(kind, parameters, fields, rate):
    assert peak_rate(step(**fields), kind, parameters) == pytest.approx(rate)


def test_a_number_is_taken_as_it_is():
    assert peak_rate(step(0.02), "causal", 10**9) == 0.02


def test_auto_says_what_it_comes_to():
    assert note_of_rate(step(), "causal", 169_152) == (
        "learning_rate auto: 0.003, usual for a model of 169,152 parameters."
    )
    assert note_of_rate(step(lora_r=16), "causal", 8 * 10**9) == (
        "learning_rate auto: 0.0002, usual for adapters of a model of 8,000,000,000 parameters."
    )


def test_a_small_student_at_a_low_rate_is_warned_of():
    assert note_of_rate(step(1e-4), "causal", 169_152) == (
        "learning_rate 0.0001 is low for 169,152 parameters, which usually take about 0.003: the student may "
        "end far from its best. `auto` takes it."
    )


@pytest.mark.parametrize(
    ("kind", "parameters", "rate", "fields"),
    [
        ("causal", 169_152, 1e-3, {}),
        ("causal", 124_000_000, 1e-5, {}),
        ("causal", 169_152, 1e-4, {"lora_r": 4}),
        ("causal", 169_152, 1e-6, {"task": "preference"}),
        ("classifier", 169_152, 1e-5, {}),
    ],
)
def test_usual_rates_large_models_adapters_preferences_and_classifiers_are_left_alone(
    kind, parameters, rate, fields
):
    assert note_of_rate(step(rate, **fields), kind, parameters) is None


@pytest.mark.parametrize("wrong", [0, -1e-3, "fast", [1e-3], float("nan")])
def test_a_rate_that_is_neither_auto_nor_above_0_is_refused_in_one_sentence(wrong):
    with pytest.raises(ConfigError) as raised:
        Recipe.from_data(
            {
                "limbeck": 1,
                "name": "r",
                "steps": [
                    {
                        "train": {
                            "out": "s",
                            "student": "S",
                            "rows": "rows.train",
                            "objective": ["cross_entropy"],
                            "learning_rate": wrong,
                        }
                    }
                ],
            }
        )
    assert [str(one) for one in raised.value.problems] == [
        f"steps.0.train.learning_rate: must be auto or a number above 0, got {wrong!r}."
    ]


def test_pairs_need_a_number():
    steps = (Load(out="rows", path="D"), step(task="preference"))
    (problem,) = check(Recipe(name="r", steps=steps))
    assert problem.where == "steps.1.train.learning_rate"
    assert "must be a number with task: preference, got auto" in str(problem)


def test_student_and_baseline_of_a_recipe_take_the_same_rate():
    trained = [one for one in word_kd(teacher="T", student="S", data="D").steps if isinstance(one, Train)]
    assert [one.learning_rate for one in trained] == ["auto", "auto"]
