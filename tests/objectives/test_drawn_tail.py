"""Forward KL with ids that were drawn from the teacher's tail: worked numbers, and right on average."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from limbeck.core.signals import TopK
from limbeck.objectives import forward_kl, reverse_kl
from limbeck.objectives.fused import linear_objective
from tests.objectives.worked import logits, value_and_gradient

P = torch.tensor([[0.5, 0.2, 0.15, 0.1, 0.05]])
Q = torch.tensor([[0.3, 0.3, 0.1, 0.1, 0.2]])


def stored(drawn: list[int], places: int = 2) -> TopK:
    """Id 0 of P, and ids drawn from the other four."""
    ids = torch.tensor([drawn + [-1] * (places - len(drawn))])
    log_probs = torch.where(ids < 0, -torch.inf, P[0, ids].log())
    return TopK(torch.tensor([[0]]), P[:, :1].log(), torch.tensor([0.5]).log(), ids, log_probs)


def mean_over_draws(found: dict[tuple[int, ...], Tensor]) -> Tensor:
    """Over pairs of ids 1 to 4, so drawn that id i is in a pair with probability 2 p_i / 0.5.

    Pairs (1, 2), (1, 3), (1, 4), (2, 3), (2, 4), (3, 4) with these probabilities hold id 1 with 0.8, id 2
    with 0.6, id 3 with 0.4 and id 4 with 0.2.
    """
    shares = dict(zip(combinations(range(1, 5), 2), (0.45, 0.25, 0.1, 0.1, 0.05, 0.05), strict=True))
    return sum((shares[pair] * value for pair, value in found.items()), torch.zeros(()))


def test_a_pair_of_drawn_ids_matches_a_value_worked_out_by_hand():
    # The tail of 1/2 goes to ids 2 and 4 in halves: 1/4 each.
    value, gradient = value_and_gradient(forward_kl, Q.log(), stored([2, 4]))
    expected = 0.5 * math.log(0.5 / 0.3) + 0.25 * math.log(0.15 / 0.1) + 0.25 * math.log(0.05 / 0.2)
    torch.testing.assert_close(value, torch.tensor([expected]), atol=1e-6, rtol=0)
    expected = Q - torch.tensor([[0.5, 0, 0.25, 0, 0.25]])
    torch.testing.assert_close(gradient, expected, atol=1e-6, rtol=0)


def test_value_and_gradient_are_those_of_the_whole_teacher_on_average():
    found = {
        pair: value_and_gradient(forward_kl, Q.log(), stored(list(pair)))
        for pair in combinations(range(1, 5), 2)
    }
    value, gradient = value_and_gradient(forward_kl, Q.log(), P.log())
    torch.testing.assert_close(
        mean_over_draws({pair: one[0] for pair, one in found.items()}), value, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(
        mean_over_draws({pair: one[1] for pair, one in found.items()}), gradient, atol=1e-6, rtol=0
    )


def test_a_position_without_drawn_ids_has_a_bucket():
    bucket = TopK(*stored([])[:3])
    for found, expected in zip(
        value_and_gradient(forward_kl, Q.log(), stored([])),
        value_and_gradient(forward_kl, Q.log(), bucket),
        strict=True,
    ):
        torch.testing.assert_close(found, expected)


def test_the_student_that_is_the_teacher_is_at_distance_0():
    value, _ = value_and_gradient(forward_kl, P.log(), stored([1, 3]))
    torch.testing.assert_close(value, torch.zeros(1), atol=1e-6, rtol=0)


@pytest.mark.parametrize("objective", [forward_kl, reverse_kl])
def test_a_bucket_knows_nothing_of_drawn_ids(objective):
    bucket = TopK(*stored([1, 3])[:3])
    for found, expected in zip(
        value_and_gradient(objective, Q.log(), stored([1, 3]), tail="bucket"),
        value_and_gradient(objective, Q.log(), bucket, tail="bucket"),
        strict=True,
    ):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("tail", ["drawn", "bucket", "renormalise"])
def test_fused_equals_plain(tail):
    rows = [[2, 4], [3], [], [1, 2]]
    parts = [stored(row) for row in rows]
    topk = TopK(*(torch.cat(column) for column in zip(*parts, strict=True)))
    hidden, weight = logits(4, 3, seed=0).requires_grad_(), logits(5, 3, seed=1).requires_grad_()
    weights = torch.tensor([0.5, 1.0, -0.3, 2.0])
    fused = linear_objective(forward_kl, hidden, weight, weights=weights, teacher_topk=topk, tail=tail)
    plain = (weights * forward_kl(hidden @ weight.T, topk, tail=tail)).sum()
    torch.testing.assert_close(fused, plain)
    for ours, theirs in zip(
        torch.autograd.grad(fused, [hidden, weight]),
        torch.autograd.grad(plain, [hidden, weight]),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_every_part_is_selected_alike():
    parts = [stored([2, 4]), stored([3])]
    topk = TopK(*(torch.cat(column) for column in zip(*parts, strict=True)))
    some = topk.each(lambda part: part[1:])
    assert some.drawn_ids.tolist() == [[3, -1]] and some.ids.tolist() == [[0]]
    bucket = TopK(*topk[:3]).each(lambda part: part[:1])
    assert bucket.drawn_ids is None and bucket.drawn_log_probs is None
