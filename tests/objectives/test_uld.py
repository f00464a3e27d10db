"""Probabilities by rank: values by hand, permuted and padded vocabularies."""

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives import uld
from tests.objectives.worked import ATOL, P, Q, logits, top, value_and_gradient


def test_matches_a_value_and_gradient_worked_out_by_hand():
    # Sorted, .5 .3 .2 against .7 .2 .1: .2 + .1 + .1. The slope in q of ids 0, 1, 2 is +1, -1, +1;
    # its mean under q = (.2, .5, .3) is 0, so that the gradient in the logits is q times the slope.
    values, gradient = value_and_gradient(uld, Q.log(), P.log())
    torch.testing.assert_close(values, torch.tensor([0.4]), atol=ATOL, rtol=0)
    torch.testing.assert_close(gradient, torch.tensor([[0.2, -0.5, 0.3]]), atol=ATOL, rtol=0)


def test_the_gradient_is_the_slope_of_the_value_between_two_kinks():
    s, z = (logits(3, words, seed=words).double() for words in (9, 7))
    assert torch.autograd.gradcheck(lambda logits: uld(logits, z), s.requires_grad_(), eps=1e-7)


def test_the_shorter_side_is_filled_with_zeros():
    halves = torch.zeros(1, 2)
    # .5 .3 .2 against .5 .5 0: .2 + .2, whoever has fewer words.
    torch.testing.assert_close(uld(Q.log(), halves), torch.tensor([0.4]), atol=ATOL, rtol=0)
    torch.testing.assert_close(uld(halves, Q.log()), torch.tensor([0.4]), atol=ATOL, rtol=0)


def test_names_of_words_do_not_count():
    s = 2 * logits(4, 30, seed=0)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(uld(s, s[:, order]), torch.zeros(4), atol=1e-6, rtol=0)


def test_certain_sides_meet_and_a_certain_one_is_2_from_an_even_one_in_the_end():
    certain = torch.tensor([[1e4] + [0.0] * 999])
    torch.testing.assert_close(uld(certain, certain.flip(-1)), torch.zeros(1))
    # 1 - 1/1000 at the first rank, 1/1000 at each of 999 others.
    torch.testing.assert_close(uld(certain, torch.zeros(1, 1000)), torch.tensor([1.998]))


def test_the_temperature_divides_both_sides():
    s, z = logits(4, 30, seed=0), logits(4, 20, seed=1)
    torch.testing.assert_close(uld(s, z, temperature=2.0), uld(s / 2, z / 2))


def test_what_has_no_meaning_is_refused():
    s, z = logits(4, 30, seed=0), logits(4, 20, seed=1)
    with pytest.raises(ObjectiveError, match="positions must be equal"):
        uld(s, z[:3])
    with pytest.raises(ObjectiveError, match="stored top-k"):
        uld(s, top(z, 5))
    with pytest.raises(ObjectiveError, match="temperature must be above 0"):
        uld(s, z, temperature=-1.0)
