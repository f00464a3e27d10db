"""Clipped KL: windows worked out by hand, its limits, its gradient, and bounds that are learnt."""

import math

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import Head, TopK
from limbeck.objectives import clipped_kl, cross_entropy, forward_kl
from limbeck.objectives.fused import PointwiseTerm, linear_objective, linear_terms
from limbeck.objectives.trainable import clip_window
from tests.objectives.worked import P, Q, logits, top, value_and_gradient

# Stretches from the bottom: .05, .05 to .2, .2 to .5, .5 to 1.
FOUR_P, FOUR_Q = torch.tensor([[0.5, 0.3, 0.15, 0.05]]), torch.tensor([[0.1, 0.2, 0.3, 0.4]])
NEAR_NOTHING = 1e-6


def kept_by(low: float, high: float, label: int, p=FOUR_P, q=FOUR_Q) -> list[int]:
    """Outcomes with a gradient, renormalised on both sides."""
    _, gradient = value_and_gradient(clipped_kl, q.log(), p.log(), torch.tensor([label]), low=low, high=high)
    return gradient.abs().gt(1e-7).nonzero()[:, 1].tolist()


def test_a_window_keeps_the_outcomes_whose_stretch_of_mass_it_meets_and_the_label():
    assert kept_by(0.0, 1.0, 0) == [0, 1, 2, 3]
    assert kept_by(0.06, 1.0, 0) == [0, 1, 2]
    assert kept_by(0.25, 1.0, 0) == [0, 1]
    assert kept_by(0.25, 0.45, 2) == [1, 2]
    assert kept_by(0.06, 0.4, 3) == [1, 2, 3]
    assert kept_by(0.6, 0.7, 3) == [0, 3]


def test_value_and_gradient_are_those_worked_out_by_hand():
    # Kept 0 and 1: p_M = (7/9, 2/9), q_M = (2/7, 5/7).
    label = torch.tensor([0])
    value, gradient = value_and_gradient(clipped_kl, Q.log(), P.log(), label, low=0.15, high=1.0)
    expected = 7 / 9 * math.log(7 / 9 / (2 / 7)) + 2 / 9 * math.log(2 / 9 / (5 / 7))
    torch.testing.assert_close(value, torch.tensor([expected]), atol=1e-6, rtol=0)
    by_hand = torch.tensor([[2 / 7 - 7 / 9, 5 / 7 - 2 / 9, 0.0]])
    torch.testing.assert_close(gradient, by_hand, atol=1e-6, rtol=0)
    _, gradient = value_and_gradient(
        clipped_kl, Q.log(), P.log(), label, low=0.15, high=1.0, renormalise=False
    )
    by_hand = torch.tensor([[0.2 - 7 / 9, 0.5 - 2 / 9, 0.3]])
    torch.testing.assert_close(gradient, by_hand, atol=1e-6, rtol=0)


@pytest.mark.parametrize("renormalise", [True, False])
def test_keeping_everything_is_forward_kl(renormalise):
    s, z, labels = logits(6, 9, seed=0), logits(6, 9, seed=1), torch.arange(6)
    found = clipped_kl(s, z, labels, low=0.0, high=1.0, renormalise=renormalise)
    torch.testing.assert_close(found, forward_kl(s, z))


def test_keeping_the_label_alone_is_cross_entropy_with_a_whole_student_and_nothing_without():
    # The window lies within the likeliest outcome, which is the label.
    s, z = logits(6, 9, seed=0), 3 * logits(6, 9, seed=1)
    labels, window = z.argmax(-1), {"low": 1 - NEAR_NOTHING, "high": 1.0}
    value, gradient = value_and_gradient(clipped_kl, s, z, labels, renormalise=False, **window)
    expected, slope = value_and_gradient(cross_entropy, s, labels)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, slope)
    value, gradient = value_and_gradient(clipped_kl, s, z, labels, **window)
    assert value.abs().max() < 1e-6 and gradient.abs().max() < 1e-6


def test_outcomes_of_equal_probability_are_kept_or_dropped_together():
    p = torch.tensor([[0.4, 0.2, 0.2, 0.2]])
    q = torch.tensor([[0.1, 0.25, 0.3, 0.35]])
    assert kept_by(0.3, 1.0, 0, p=p, q=q) == [0, 1, 2, 3]
    assert kept_by(0.61, 1.0, 1, p=p, q=q) == [0, 1]


@pytest.mark.parametrize("label", [0, 3])
def test_the_bucket_of_a_stored_teacher_is_kept_when_the_window_reaches_below_the_tokens(label):
    # Kept tokens 0 and 1, bucket .2 at the bottom.
    topk = TopK(torch.tensor([[0, 1]]), FOUR_P[:, :2].log(), torch.tensor([0.2]).log())
    coarse_p, coarse_q = torch.tensor([[0.5, 0.3, 0.2]]).log(), torch.tensor([[0.1, 0.2, 0.7]]).log()
    for low in (0.1, 0.3):
        found = clipped_kl(FOUR_Q.log(), topk, torch.tensor([label]), low=low, high=1.0)
        place = torch.tensor([min(label, 2)])
        expected = clipped_kl(coarse_q, coarse_p, place, low=low, high=1.0)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("low", "high"), [(0.05, 1.0), (0.0, 0.8), (0.2, 0.6)])
@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("vocabulary", [40, 3000])
def test_fused_equals_plain_whatever_the_window(low, high, renormalise, vocabulary):
    # A large vocabulary takes the search for the thresholds that does not sort.
    hidden, weight = logits(5, 6, seed=2).requires_grad_(), logits(vocabulary, 6, seed=3).requires_grad_()
    u, labels = 3 * logits(5, vocabulary, seed=4), torch.arange(5) * 7
    options = {"low": low, "high": high, "renormalise": renormalise}
    found = linear_objective(
        clipped_kl, hidden, weight, u, Head(torch.eye(vocabulary)),
        weights=torch.ones(5), labels=labels, **options,
    )  # fmt: skip
    expected = clipped_kl(hidden @ weight.T, u, labels, **options).sum()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for ours, plain in zip(
        torch.autograd.grad(found, [hidden, weight]),
        torch.autograd.grad(expected, [hidden, weight]),
        strict=True,
    ):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)


def test_tensor_bounds_keep_what_equal_numbers_keep():
    s, z, labels = logits(6, 30, seed=0), 3 * logits(6, 30, seed=1), torch.arange(6)
    for teacher in (z, top(z, 7)):
        bounds = {"low": torch.full((6,), 0.1), "high": torch.full((6,), 0.8)}
        expected = clipped_kl(s, teacher, labels, low=0.1, high=0.8)
        torch.testing.assert_close(clipped_kl(s, teacher, labels, **bounds), expected)


@pytest.mark.parametrize("renormalise", [True, False])
def test_the_bounds_gradient_is_the_slope_of_the_weighted_divergence(renormalise):
    # The same loss with a weight for each outcome, hard at 0 and 1, differentiated by autograd.
    p, q = FOUR_P[0].double(), FOUR_Q[0].double()
    weights = torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64, requires_grad=True)
    mass_p, mass_q = (p * weights).sum(), (q * weights).sum()
    value = (p * weights * (p / q).log()).sum() / mass_p - mass_p.log()
    value = value + mass_q.log() if renormalise else value
    (slope,) = torch.autograd.grad(value, weights)
    low, softness = torch.tensor([0.3], requires_grad=True), 0.1
    found = clipped_kl(
        FOUR_Q.log(), FOUR_P.log(), torch.tensor([0]), low=low, high=1.0, renormalise=renormalise,
        softness=softness,
    )  # fmt: skip
    torch.testing.assert_close(found.detach().double(), value.detach()[None], atol=1e-6, rtol=0)
    level = torch.tensor([0.75, 0.35, 0.125, 0.025], dtype=torch.float64)
    inner, outer = ((level - 0.3) / softness).sigmoid(), ((1 - level) / softness).sigmoid()
    expected = -(slope * inner * (1 - inner) * outer).sum() / softness
    (gradient,) = torch.autograd.grad(found.sum(), low)
    torch.testing.assert_close(gradient.double(), expected[None], atol=1e-5, rtol=1e-4)


def test_the_network_starts_nearly_open_and_never_closes():
    network = clip_window(floor=0.4)
    s, z = logits(2, 5, 50, seed=0), logits(2, 5, 50, seed=1)
    bounds = network(s, z)
    assert bounds["low"].shape == (2, 5)
    assert (bounds["high"] - bounds["low"] > 0.9).all()
    with torch.no_grad():
        network.layers[-1].bias.copy_(torch.tensor([-50.0, 3.0]))
    bounds = network(s, z)
    torch.testing.assert_close(bounds["high"] - bounds["low"], torch.full((2, 5), 0.4))
    assert network(s[0], top(z[0], 5))["low"].shape == (5,)


def test_the_network_learns_through_the_loss_and_narrows_a_window_that_costs():
    network = clip_window()
    s, z, labels = logits(20, 50, seed=0), 2 * logits(20, 50, seed=1), torch.arange(20)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    values = []
    for _ in range(40):
        loss = clipped_kl(s, z, labels, **network(s, z)).mean()
        optimizer.zero_grad()
        loss.backward()
        assert all(p.grad.isfinite().all() for p in network.parameters())
        optimizer.step()
        values.append(loss.item())
    assert values[-1] < 0.9 * values[0]


def test_learnt_bounds_through_the_fused_head_equal_the_plain_ones():
    network = clip_window(floor=0.2)
    torch.nn.init.normal_(network.layers[-1].weight, generator=torch.Generator().manual_seed(0))
    hidden, weight = logits(5, 6, seed=2).requires_grad_(), logits(30, 6, seed=3).requires_grad_()
    u, weights, labels = 2 * logits(5, 30, seed=4), logits(5, seed=5), torch.arange(5)
    inputs = [hidden, weight, *network.parameters()]
    found, _ = linear_terms(
        [PointwiseTerm(clipped_kl, {}, network)], hidden, Head(weight), weights=weights[None], labels=labels,
        teacher_hidden=u, teacher_head=Head(torch.eye(30)),
    )  # fmt: skip
    scores = hidden @ weight.T
    expected = (weights * clipped_kl(scores, u, labels, **network(scores.detach(), u))).sum()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for ours, plain in zip(
        torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("low", "high"),
    [(-0.1, 1.0), (0.0, 1.1), (0.5, 0.5), (0.7, 0.2), (torch.tensor([0.9]), 0.5), (math.nan, 1.0)],
)
def test_refuses_windows_that_are_empty_or_outside_the_distribution(low, high):
    with pytest.raises(ObjectiveError, match="low and high must satisfy 0 <= low < high <= 1"):
        clipped_kl(Q.log(), P.log(), torch.tensor([0]), low=low, high=high)


def test_refuses_bounds_for_another_number_of_positions():
    with pytest.raises(ObjectiveError, match=r"low must be a number or \(1,\), one bound for each position"):
        clipped_kl(Q.log(), P.log(), torch.tensor([0]), low=torch.zeros(3), high=1.0)
