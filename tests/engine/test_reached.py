"""Parameters that a step leaves out: behind the loss, and without a gradient."""

import torch
from torch import nn

from limbeck.engine.reached import Reached, with_all_behind


def test_all_parameters_take_part_and_only_those_that_are_read_get_a_gradient():
    used, spare = nn.Linear(2, 2), nn.Linear(2, 2)
    every = [*used.parameters(), *spare.parameters()]
    loss = used(torch.ones(1, 2)).sum()
    behind = with_all_behind(loss, every)
    behind.backward()
    assert torch.equal(behind, loss)
    assert [parameter.grad is None for parameter in every] == [False, False, True, True]
    with_all_behind(torch.zeros(()), every).backward()  # a loss without a graph of its own


def test_zeros_are_taken_back_where_no_rank_had_a_gradient():
    used, elsewhere, spare = (nn.Parameter(torch.ones(2)) for _ in range(3))
    parameters = [used, elsewhere, spare]
    reached = Reached(parameters, lambda mine: mine + torch.tensor([0.0, 1.0, 0.0]))  # the other rank's
    for step in range(2):
        (used if step == 0 else elsewhere).sum().backward()
        for parameter in parameters:
            parameter.grad = torch.zeros(2)  # as ranks leave them
        reached.take_back_others()
        assert [parameter.grad is None for parameter in parameters] == [step == 1, False, True]
