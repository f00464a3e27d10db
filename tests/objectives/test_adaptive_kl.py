"""Adaptive KL against worked numbers, both rules of the head, and a head found without sorting."""

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import TopK
from limbeck.objectives import adaptive_kl, forward_kl, reverse_kl
from limbeck.objectives.head_mass import head_threshold
from tests.objectives.worked import P, Q, check_worked, logits, value_and_gradient


def test_matches_the_worked_numbers():
    check_worked(adaptive_kl, 0.560496, [-0.428994, 0.244779, 0.184215])


@pytest.mark.parametrize(("compat", "share"), [("paper", 0.5), ("released", 0.375)])
def test_the_outcome_that_crosses_mu_is_head_in_the_paper_and_tail_in_the_released_code(compat, share):
    # Gaps .3, .1, .1, .3; .4 < mu < .4 + .3: the head holds .3 + .1 or only .3 of .8.
    p, q = torch.tensor([[0.4, 0.3, 0.2, 0.1]]), torch.tensor([[0.1, 0.4, 0.1, 0.4]])
    s, z = q.log(), p.log()
    expected = share * forward_kl(s, z) + (1 - share) * reverse_kl(s, z)
    torch.testing.assert_close(adaptive_kl(s, z, compat=compat), expected)
    assert (forward_kl(s, z) - reverse_kl(s, z)).abs() > 5e-3  # else any share would pass


def test_the_first_outcome_is_always_head():
    # p = (.7, .2, .1) crosses mu = .5 at once: gaps .5, .3, .2, head share 1/2 under both rules.
    expected = (forward_kl(Q.log(), P.log()) + reverse_kl(Q.log(), P.log())) / 2
    torch.testing.assert_close(adaptive_kl(Q.log(), P.log(), compat="released"), expected)


def test_the_weights_are_constants():
    # The paper's weights for P and Q are (1/2, 1/2); the gradient is that mean of the two gradients.
    _, found = value_and_gradient(adaptive_kl, Q.log(), P.log())
    _, forward = value_and_gradient(forward_kl, Q.log(), P.log())
    _, reverse = value_and_gradient(reverse_kl, Q.log(), P.log())
    torch.testing.assert_close(found, (forward + reverse) / 2)


def test_equal_sides_give_zero_and_not_0_over_0():
    value, gradient = value_and_gradient(adaptive_kl, P.log(), P.log())
    torch.testing.assert_close(value, torch.zeros(1), atol=1e-6, rtol=0)
    torch.testing.assert_close(gradient, torch.zeros(1, 3), atol=1e-6, rtol=0)


def test_the_bucket_of_a_stored_teacher_is_tail_even_when_it_is_the_likeliest():
    # Kept (.3, .1), bucket .6: the head is the kept tokens only, gaps .1, .2 and the bucket's .1.
    p, q = torch.tensor([[0.3, 0.1, 0.3, 0.3]]), torch.tensor([[0.2, 0.3, 0.25, 0.25]])
    topk = TopK(torch.tensor([[0, 1]]), p[:, :2].log(), torch.tensor([0.6]).log())
    coarse_p, coarse_q = torch.tensor([[0.3, 0.1, 0.6]]).log(), torch.tensor([[0.2, 0.3, 0.5]]).log()
    share = 0.3 / 0.4
    expected = share * forward_kl(coarse_q, coarse_p) + (1 - share) * reverse_kl(coarse_q, coarse_p)
    torch.testing.assert_close(adaptive_kl(q.log(), topk), expected)


@pytest.mark.parametrize("compat", ["paper", "released"])
@pytest.mark.parametrize("mu", [0.3, 0.5, 0.9])
@pytest.mark.parametrize("spread", [0.01, 1.0, 4.0])
def test_the_head_found_by_bisection_is_the_sorted_one(spread, mu, compat):
    p = (logits(6, 3000, seed=5) * spread).double().softmax(-1).float()
    expected = []
    for row in p:
        ordered = sorted(row.tolist(), reverse=True)
        mass, size = 0.0, 0
        while mass < mu:
            mass, size = mass + ordered[size], size + 1
        last = size if compat == "paper" else max(1, size - 1)
        expected.append([ordered[last - 1]])
    torch.testing.assert_close(head_threshold(p, mu, compat), torch.tensor(expected), rtol=0, atol=0)


def test_equal_probabilities_enter_the_head_together():
    p = torch.full((1, 1000), 1e-3)
    assert (p >= head_threshold(p, 0.5, "paper")).all()


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_refuses_an_empty_or_full_head(mu):
    with pytest.raises(ObjectiveError, match=r"mu must lie in \(0, 1\)"):
        adaptive_kl(Q.log(), P.log(), mu=mu)
