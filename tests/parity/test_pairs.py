"""Losses on pairs of answers against numbers printed by official code."""

import pytest
import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term
from limbeck.objectives import cross_entropy
from limbeck.objectives.criterion import Criterion
from limbeck.objectives.preference import dpo, simpo
from tests.parity import official

CHOSEN, REJECTED = torch.tensor(official.CHOSEN), torch.tensor(official.REJECTED)


def scores_of(mean: float) -> Tensor:
    """Scores of two outcomes whose first has this log-probability."""
    first = torch.tensor(mean)
    return torch.stack([first, torch.log1p(-first.exp())])


@pytest.mark.parametrize("alpha", [0.8, 1.0])
def test_redi_is_two_cross_entropies_each_a_mean_over_the_tokens_of_an_answer(alpha):
    # Every token of an answer gets the answer's mean log-probability.
    zero = torch.tensor([0])
    for pair, expected in enumerate(official.REDI[alpha]):
        means = [
            official.CHOSEN[pair] / official.CHOSEN_LENGTHS[pair],
            official.REJECTED[pair] / official.REJECTED_LENGTHS[pair],
        ]
        chosen, rejected = (cross_entropy(scores_of(mean)[None], zero) for mean in means)
        torch.testing.assert_close(chosen - alpha * rejected, torch.tensor([expected]), atol=1e-6, rtol=0)


def test_dpo_is_the_sigmoid_loss():
    pairs = torch.stack([CHOSEN, REJECTED], -1).requires_grad_()
    found = dpo(pairs, torch.tensor(official.REFERENCE).T, beta=0.1)
    found.sum().backward()
    torch.testing.assert_close(found.detach(), torch.tensor(official.DPO[0]), atol=2e-6, rtol=0)
    torch.testing.assert_close(pairs.grad[:, 0], torch.tensor(official.DPO[1]), atol=2e-6, rtol=0)
    torch.testing.assert_close(pairs.grad[:, 1], -torch.tensor(official.DPO[1]), atol=2e-6, rtol=0)


def test_simpo_is_trls():
    means = torch.stack(
        [CHOSEN / torch.tensor(official.CHOSEN_LENGTHS), REJECTED / torch.tensor(official.REJECTED_LENGTHS)],
        -1,
    ).requires_grad_()
    found = simpo(means, beta=2.0, gamma=1.0)
    found.sum().backward()
    torch.testing.assert_close(found.detach(), torch.tensor(official.SIMPO[0]), atol=5e-6, rtol=0)
    torch.testing.assert_close(means.grad[:, 0], torch.tensor(official.SIMPO[1]), atol=2e-6, rtol=0)


def test_redi_in_one_step_has_the_official_loss_and_slopes():
    # Rows of a batch as `task: preference` lays them out, every token with its answer's mean.
    sums = [*zip(official.CHOSEN, official.REJECTED, strict=True)]
    counts = [*zip(official.CHOSEN_LENGTHS, official.REJECTED_LENGTHS, strict=True)]
    rows = [
        (total / count, count)
        for pair, sizes in zip(sums, counts, strict=True)
        for total, count in zip(pair, sizes, strict=True)
    ]
    shape = (len(rows), max(count for _, count in rows))
    targets = torch.full(shape, IGNORE)
    means = torch.full(shape, -1.0)
    for row, (mean, count) in enumerate(rows):
        targets[row, :count], means[row, :count] = 0, mean
    groups = torch.where(targets == IGNORE, IGNORE, (torch.arange(len(rows)) % 2)[:, None])
    inputs = {"input_ids": torch.zeros(shape, dtype=torch.long), "attention_mask": (targets != IGNORE).long()}
    batch = Batch(inputs, targets, [["r"]] * len(rows), groups=groups, group_names=("chosen", "rejected"))
    signals = ("student_logits", "labels")
    terms = [
        Term("right", cross_entropy, signals, on="chosen", mean="sequence"),
        Term("wrong", cross_entropy, signals, weight=-0.8, on="rejected", mean="sequence"),
    ]
    criterion = Criterion(terms)
    means.requires_grad_()
    scores = torch.stack([means, torch.log1p(-means.exp())], -1)
    loss, _ = criterion(
        Outputs(logits=scores), None, batch, counts=criterion.counts(batch), step=0, total_steps=1
    )
    loss.backward()
    assert loss.item() == pytest.approx(sum(official.REDI[0.8]) / 2, abs=1e-5)
    for column, expected in enumerate(official.REDI_SLOPES):
        first_tokens = means.grad[column::2, 0]
        torch.testing.assert_close(first_tokens, torch.tensor(expected), atol=1e-6, rtol=0)
