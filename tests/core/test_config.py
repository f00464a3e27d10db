"""Mistakes in plain data, in words: the place, what may stand there, what was probably meant."""

import pytest

from limbeck.core.errors import ConfigError
from limbeck.core.lookup import did_you_mean
from limbeck.recipes import Recipe


def problems(**fields) -> list[str]:
    step = {"out": "s", "student": "S", "rows": "rows.train", "objective": ["cross_entropy"], **fields}
    with pytest.raises(ConfigError) as caught:
        Recipe.from_data({"limbeck": 1, "name": "x", "steps": [{"train": step}]})
    return [str(problem).removeprefix("steps.0.train.") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"validation": {"rows": "r", "evry": 5}},
            "validation.evry: unknown key 'evry'. Did you mean 'every'?",
        ),
        ({"student": {"modle": "x"}}, "student.modle: unknown key 'modle'. Did you mean 'model'?"),
        ({"alignment": {"pairr": "order"}}, "alignment.pairr: unknown key 'pairr'. Did you mean 'pair'?"),
        (
            {"rollouts": {"replay": {"capasity": 3}}},
            "rollouts.replay.capasity: unknown key 'capasity'. Did you mean 'capacity'?",
        ),
        (
            {"objective": [{"name": "cross_entropy", "wieght": 2}]},
            "objective.0: cross_entropy: unknown hyperparameter 'wieght'. Did you mean 'weight'?",
        ),
        (
            {"objective": [{"name": "cross_entropy", "zzz": 2}]},
            "objective.0: cross_entropy: unknown hyperparameter 'zzz'. Allowed: layers, mean, on, trainable, "
            "weight, weighted_by.",
        ),
    ],
)
def test_a_misspelt_key_is_answered_with_the_fields_of_its_own_place(fields, said):
    assert problems(**fields) == [said]


def test_a_word_where_a_list_belongs_is_answered_with_the_list():
    assert problems(lora_target_modules="q_proj") == [
        "lora_target_modules: must be a list, for example lora_target_modules=[q_proj], got 'q_proj'."
    ]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("learning_rat", " Did you mean 'learning_rate'?"),
        ("adam", " Did you mean one of adam_beta1, adam_epsilon?"),
        ("zzz", " Allowed: adam_beta1, adam_epsilon, learning_rate."),
    ],
)
def test_words_alike_come_first_then_those_that_share_a_part_then_all(word, said):
    assert did_you_mean(word, ["adam_epsilon", "learning_rate", "adam_beta1", "adam_beta1"]) == said
