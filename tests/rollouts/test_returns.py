"""Advantages by hand: discount, length, whitening, and tokens that were not sampled."""

import torch

from limbeck.core.rollouts import Advantages
from limbeck.rollouts.returns import advantages, whitened

# Rewards and discounted returns as microsoft/LMOps, `minillm/losses.py:Loss._get_advantages_and_returns`
# has them, discount 0.95.
REWARDS = torch.tensor([[-2.2983028, -0.7761866, -0.0782816]])
ALL = torch.ones(1, 3, dtype=torch.bool)


def found(rewards: torch.Tensor = REWARDS, loss_mask: torch.Tensor = ALL, **settings: object) -> torch.Tensor:
    return advantages(rewards, loss_mask, Advantages(**settings))


def test_the_discounted_return_is_that_of_the_official_code():
    expected = torch.tensor([[-3.1063293, -0.8505541, -0.0782816]])
    torch.testing.assert_close(found(discount=0.95), expected, atol=1e-6, rtol=0)


def test_from_the_next_token_on_the_last_one_has_nothing():
    expected = torch.tensor([[-0.8505541, -0.0782816, 0.0]])
    torch.testing.assert_close(found(discount=0.95, return_from="t+1"), expected, atol=1e-6, rtol=0)


def test_without_look_ahead_it_is_the_reward():
    torch.testing.assert_close(found(), REWARDS)
    torch.testing.assert_close(found(return_from="t+1"), torch.tensor([[-0.7761866, -0.0782816, 0.0]]))


def test_the_length_is_the_number_of_tokens_summed():
    ones = torch.ones(1, 3)
    torch.testing.assert_close(found(ones, discount=1.0), torch.tensor([[3.0, 2.0, 1.0]]))
    torch.testing.assert_close(found(ones, discount=1.0, length_normalised=True), ones)
    torch.testing.assert_close(
        found(ones, discount=1.0, length_normalised=True, return_from="t+1"), torch.tensor([[1.0, 1.0, 0.0]])
    )


def test_tokens_in_between_that_were_not_sampled_do_not_exist():
    # As in REWARDS, with a tool's output of two tokens between the first and the second.
    rewards = torch.tensor([[9.0, -2.2983028, 5.0, 7.0, -0.7761866, -0.0782816, 8.0]])
    loss_mask = torch.tensor([[0, 1, 0, 0, 1, 1, 0]]).bool()
    for settings in ({"discount": 0.95}, {"discount": 1.0, "return_from": "t+1", "length_normalised": True}):
        spread = found(rewards, loss_mask, **settings)
        torch.testing.assert_close(spread[loss_mask], found(**settings)[0])
        assert (spread[~loss_mask] == 0).all()


def test_rewards_are_scaled_and_then_clipped():
    rewards = torch.tensor([[-60.0, 3.0, 20.0]])
    torch.testing.assert_close(
        found(rewards, reward_scale=0.5, reward_limit=30.0), torch.tensor([[-30.0, 6.0, 30.0]])
    )


def test_whitening_leaves_padding_out():
    values = torch.tensor([[1.0, 3.0, 0.0], [5.0, 0.0, 0.0]])
    loss_mask = torch.tensor([[1, 1, 0], [1, 0, 0]]).bool()
    # mean 3, deviation sqrt(8 / 3); with the zeros counted in, the mean would be 1.5
    white = (8 / 3) ** -0.5 * torch.tensor([[-2.0, 0.0, 0.0], [2.0, 0.0, 0.0]])
    torch.testing.assert_close(whitened(values, loss_mask), white)


def test_equal_or_single_values_whiten_to_nothing():
    loss_mask = torch.tensor([[1, 1, 0]]).bool()
    assert (whitened(torch.tensor([[2.0, 2.0, 9.0]]), loss_mask) == 0).all()
    assert (whitened(torch.tensor([[2.0, 2.0, 9.0]]), torch.tensor([[1, 0, 0]]).bool()) == 0).all()
