"""Objectives across tokenizers against numbers printed by the official code of their papers."""

import pytest
import torch
from torch import Tensor

from limbeck.objectives import alm, chunk_state_mse, uld
from tests.objectives.worked import value_and_gradient
from tests.parity import official_chunks as official
from tests.parity.official import STUDENT, TEACHER

ATOL = 3e-6


def close(found: Tensor, expected: list, **tolerance) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), **{"atol": ATOL, "rtol": 1e-5, **tolerance})


def of_chunks(expected: official.OfficialChunks) -> tuple[Tensor, Tensor]:
    """Our values and gradients of the same chunks."""
    return value_and_gradient(
        alm,
        official.STUDENT_CHUNKS,
        official.TEACHER_CHUNKS,
        temperature=expected.temperature,
        distance=expected.distance,
    )


@pytest.mark.parametrize("expected", official.ALM)
def test_alm_is_tokenkits(expected):
    found, slopes = of_chunks(expected)
    close(found, expected.values)
    differing = (official.STUDENT_CHUNKS != official.TEACHER_CHUNKS).nonzero().flatten()
    close(slopes[differing], [expected.gradients[place] for place in differing], rtol=1e-4)


@pytest.mark.parametrize("expected", official.BINARY_CE)
def test_the_binary_kl_is_tokenkits_cross_entropy_less_the_teachers_entropy(expected):
    found, slopes = of_chunks(expected)
    p = (official.TEACHER_CHUNKS.double() / expected.temperature - 1e-6).exp()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    close(found + entropy.float(), expected.values)
    close(slopes, expected.gradients, rtol=1e-4)


@pytest.mark.parametrize(("normalise", "value", "gradients"), official.STATES)
def test_the_error_of_states_is_tokenkits(normalise, value, gradients):
    states = official.STUDENT_STATES.clone().requires_grad_()
    mean = chunk_state_mse(states, official.TEACHER_STATES, normalise=normalise).mean()
    mean.backward()
    close(mean.detach(), value)
    close(states.grad, gradients)


@pytest.mark.parametrize(
    ("teacher", "expected"),
    [(official.WIDER_TEACHER, official.ULD_WIDER), (TEACHER[:, :4], official.ULD_NARROWER)],
)
def test_uld_is_dskds(teacher, expected):
    values, gradients = value_and_gradient(uld, STUDENT, teacher)
    close(values, expected.values)
    close(gradients, expected.gradients)
