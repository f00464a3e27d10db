"""Chunk likelihoods: values by hand, the limits, and forward KL where every chunk is one token."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import TopK
from limbeck.objectives import alm, forward_kl
from tests.objectives.worked import logits, value_and_gradient

STUDENT, TEACHER = torch.tensor([-3.0]), torch.tensor([-2.0])
DISTANCES = [
    "binary_kl",
    "reverse_binary_kl",
    "jensen_shannon",
    "total_variation",
    "log_ratio",
    "limit",
]
distances = pytest.mark.parametrize("distance", DISTANCES)


def plain_kl(a: float, b: float) -> float:
    """KL over an outcome of probability a or b and its complement."""
    return a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b))


@pytest.mark.parametrize(("temperature", "expected"), [(1, 0.053759), (5, 0.030623), (100, 0.00187176)])
def test_the_binary_kl_of_a_worked_chunk(temperature, expected):
    found = alm(STUDENT, TEACHER, temperature=float(temperature))
    torch.testing.assert_close(found, torch.tensor([expected]), atol=1e-6, rtol=1e-4)


def test_the_other_distances_by_their_definitions():
    p, q = math.exp(-1.0), math.exp(-1.5)  # at temperature 2
    middle = (p + q) / 2
    expected = {
        "reverse_binary_kl": plain_kl(q, p),
        "jensen_shannon": (plain_kl(p, middle) + plain_kl(q, middle)) / 2,
        "total_variation": p - q,
        "log_ratio": 0.5,
        "limit": 1 - 2 * math.log(3 / 2),
    }
    for distance, value in expected.items():
        found = alm(STUDENT, TEACHER, temperature=2.0, distance=distance)
        torch.testing.assert_close(found, torch.tensor([value]), atol=3e-6, rtol=0)


def test_the_gradient_is_that_of_the_odds():
    # (Q - P) / (1 - Q) over the temperature, at temperature 5.
    p, q = math.exp(-0.4), math.exp(-0.6)
    _, gradient = value_and_gradient(alm, STUDENT, TEACHER, temperature=5.0)
    torch.testing.assert_close(gradient, torch.tensor([(q - p) / (1 - q) / 5]), atol=1e-6, rtol=1e-5)


def test_warm_distances_tend_to_the_limit():
    student, teacher = STUDENT.double(), TEACHER.double()
    limit = alm(student, teacher, distance="limit").item()
    assert limit == pytest.approx(0.18907, abs=1e-5)
    gaps = [abs(t * alm(student, teacher, temperature=float(t)).item() - limit) for t in (10, 100, 1000)]
    # The guard of 1e-6 is a larger share of a warmer logarithm, and costs less than the approach gains.
    assert gaps[0] > 5 * gaps[1] > 5 * gaps[2]
    assert 100 * alm(student, teacher).item() == pytest.approx(0.18718, abs=1e-5)


@distances
def test_equal_likelihoods_are_at_distance_0_with_no_slope(distance):
    chunks = torch.tensor([0.0, -1e-12, -0.5, -3.0, -80.0, -1e4])
    values, gradient = value_and_gradient(alm, chunks, chunks.clone(), temperature=1.0, distance=distance)
    torch.testing.assert_close(values, torch.zeros(6), atol=1e-7, rtol=0)
    # Next to probability 1 the complement is 1e-6, of which a float32 keeps one digit.
    torch.testing.assert_close(gradient[2:], torch.zeros(4), atol=1e-6, rtol=0)


@distances
@pytest.mark.parametrize("temperature", [1.0, 100.0])
def test_certain_and_impossible_chunks_give_finite_values_and_gradients(distance, temperature):
    ends = torch.tensor([0.0, -1e-12, -1e-3, -1e4])
    student, teacher = ends.repeat_interleave(4), ends.repeat(4)
    values, gradient = value_and_gradient(alm, student, teacher, temperature=temperature, distance=distance)
    assert values.isfinite().all() and gradient.isfinite().all()
    assert (values >= -1e-6).all()


def test_rounding_above_0_is_cut():
    torch.testing.assert_close(alm(torch.tensor([1e-3]), TEACHER), alm(torch.tensor([0.0]), TEACHER))


def test_nothing_flows_to_the_teacher():
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    alm(student, teacher).sum().backward()
    assert teacher.grad is None and student.grad is not None


@distances
def test_the_gradient_is_the_slope_of_the_value(distance):
    student = torch.tensor([-3.0, -0.2, -9.0], dtype=torch.float64, requires_grad=True)
    teacher = torch.tensor([-2.0, -1.0, -12.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: alm(s, teacher, temperature=3.0, distance=distance), student)


def test_of_one_token_chunks_it_is_forward_kl_with_all_other_tokens_in_a_bucket():
    s, z, observed = logits(6, 11, seed=0), logits(6, 11, seed=1), torch.tensor([3, 0, 10, 7, 7, 2])
    log_q, log_p = s.log_softmax(-1), z.log_softmax(-1)
    rest = log_p.scatter(-1, observed[:, None], -torch.inf).logsumexp(-1)
    stored = TopK(observed[:, None], log_p.gather(-1, observed[:, None]), rest)
    chunks = [log.gather(-1, observed[:, None]).squeeze(-1) for log in (log_q, log_p)]
    torch.testing.assert_close(alm(*chunks, temperature=1.0), forward_kl(s, stored), atol=3e-6, rtol=0)


def test_bfloat16_is_read_and_float32_computed():
    found = alm(STUDENT.bfloat16(), TEACHER.bfloat16())
    assert found.dtype is torch.float32 and torch.equal(found, alm(STUDENT, TEACHER))


def test_no_chunks_give_nothing():
    student = torch.zeros(0, requires_grad=True)
    values = alm(student, torch.zeros(0))
    values.sum().backward()
    assert values.shape == (0,)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ObjectiveError, match="shapes must be equal"):
        alm(STUDENT, torch.zeros(2))
    with pytest.raises(ObjectiveError, match="temperature must be above 0"):
        alm(STUDENT, TEACHER, temperature=0.0)
    with pytest.raises(ObjectiveError, match=r"distance must be 'binary_kl' or .* got 'hinge'"):
        alm(STUDENT, TEACHER, distance="hinge")
