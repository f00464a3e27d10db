"""Times in a plan: what a model costs for each token, on a machine of known speeds."""

import pytest
from transformers import LlamaConfig

from limbeck.runs.assembly.models import ModelInfo
from limbeck.runs.checking.rates import Rates

RATES = Rates(operations=55e9, numbers=765e6)  # one core of the machine on which the times below were taken


def shape(width, depth, vocabulary, parameters):
    config = LlamaConfig(
        hidden_size=width, num_hidden_layers=depth, vocab_size=vocabulary, tie_word_embeddings=True
    )
    return ModelInfo(config, "causal", "", parameters)


@pytest.mark.parametrize(
    ("width", "depth", "vocabulary", "parameters", "length", "tokens", "measured"),
    [
        (64, 3, 512, 180_000, 256, 1024, 0.064),
        (64, 5, 512, 280_000, 256, 1024, 0.097),
        (128, 4, 2048, 1_050_000, 256, 1024, 0.218),
        (256, 4, 8192, 5_260_000, 256, 512, 0.474),
        (512, 4, 8192, 16_850_000, 128, 256, 0.554),
    ],
)
def test_a_training_step_is_planned_as_long_as_plain_transformers_took(
    width, depth, vocabulary, parameters, length, tokens, measured
):
    # Forward, backward and AdamW of a Llama model, seconds of one core's time.
    effective = RATES.effective(shape(width, depth, vocabulary, parameters), length)
    assert 6 * effective * tokens / RATES.operations == pytest.approx(measured, rel=0.2)


def test_an_embedding_that_is_only_looked_up_costs_nothing():
    config = LlamaConfig(hidden_size=64, num_hidden_layers=2, vocab_size=500, tie_word_embeddings=False)
    untied, tied = ModelInfo(config, "causal", "", 132_000), shape(64, 2, 500, 100_000)
    assert RATES.effective(untied, 16) == RATES.effective(tied, 16)
