"""Means by token and by sequence, weights of units, groups: by hand, and however the rows lie."""

from dataclasses import replace

import pytest
import torch

from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError
from limbeck.core.masks import IGNORE
from limbeck.core.outputs import Outputs
from limbeck.core.signals import Head
from limbeck.core.term import Term
from limbeck.core.units import Unit
from limbeck.objectives import cross_entropy, uld
from limbeck.objectives.criterion import Criterion

V, H = 7, 5
LENGTHS = (2, 4, 1)  # learnt tokens of each row
HEAD = Head(torch.randn(V, H, generator=torch.Generator().manual_seed(0)))


def row(place: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states and targets of one row; its first position is a prompt."""
    random = torch.Generator().manual_seed(place + 1)
    length = 1 + LENGTHS[place]
    targets = torch.randint(V, (length,), generator=random)
    targets[0] = IGNORE
    return torch.randn(length, H, generator=random), targets


def losses(place: int) -> torch.Tensor:
    hidden, targets = row(place)
    log_q = (hidden @ HEAD.weight.T).log_softmax(-1)
    return -log_q[torch.arange(1, len(targets)), targets[1:]]


def padded(*places: int) -> tuple[Batch, torch.Tensor]:
    width = max(len(row(place)[1]) for place in places)
    hidden, targets = torch.full((len(places), width, H), 9.0), torch.full((len(places), width), IGNORE)
    mask = torch.zeros(len(places), width, dtype=torch.long)
    for line, place in enumerate(places):
        h, t = row(place)
        hidden[line, : len(t)], targets[line, : len(t)], mask[line, : len(t)] = h, t, 1
    inputs = {"input_ids": mask, "attention_mask": mask}
    return Batch(inputs, targets, [(str(place),) for place in places]), hidden


def packed(*places: int) -> tuple[Batch, torch.Tensor]:
    rows = [row(place) for place in places]
    positions = torch.cat([torch.arange(len(targets)) for _, targets in rows])[None]
    inputs = {"input_ids": positions, "position_ids": positions}
    batch = Batch(inputs, torch.cat([targets for _, targets in rows])[None], [tuple(map(str, places))])
    return batch, torch.cat([hidden for hidden, _ in rows])[None]


def loss(term: Term, *steps: tuple[Batch, torch.Tensor], fused: bool = True) -> float:
    """Over several micro-batches of one step."""
    criterion = Criterion([term], fused=fused)
    counts = torch.stack([criterion.counts(batch) for batch, _ in steps]).sum(0)
    parts = []
    for batch, hidden in steps:
        answer = Outputs(hidden=hidden.clone().requires_grad_(), head=HEAD)
        parts.append(criterion(answer, None, batch, counts=counts, step=0, total_steps=1)[0].detach())
    return float(sum(parts))


BY_TOKEN = Term("ce", cross_entropy, ("student_logits", "labels"))
BY_SEQUENCE = replace(BY_TOKEN, mean=Unit.SEQUENCE)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("lay", [padded, packed])
def test_the_two_means_by_hand(lay, fused):
    by_token = torch.cat([losses(place) for place in range(3)]).mean()
    by_sequence = torch.stack([losses(place).mean() for place in range(3)]).mean()
    assert abs(by_token - by_sequence) > 0.01
    assert loss(BY_TOKEN, lay(0, 1, 2), fused=fused) == pytest.approx(float(by_token), rel=1e-5)
    assert loss(BY_SEQUENCE, lay(0, 1, 2), fused=fused) == pytest.approx(float(by_sequence), rel=1e-5)


@pytest.mark.parametrize("lay", [padded, packed])
def test_micro_batches_do_not_change_the_mean_of_sequences(lay):
    assert loss(BY_SEQUENCE, lay(0), lay(1, 2)) == pytest.approx(loss(BY_SEQUENCE, lay(0, 1, 2)), rel=1e-5)


@pytest.mark.parametrize("fused", [True, False])
def test_a_weight_multiplies_units_and_not_their_number(fused):
    batch, hidden = padded(0, 1, 2)
    weights = torch.rand(batch.targets.shape, generator=torch.Generator().manual_seed(4))
    batch = replace(batch, signals={"importance": weights})
    each = [weights[place, 1 : 1 + LENGTHS[place]] * losses(place) for place in range(3)]
    for term, expected in (
        (BY_TOKEN, torch.cat(each).mean()),
        (BY_SEQUENCE, sum(e.mean() for e in each) / 3),
    ):
        found = loss(replace(term, weighted_by="importance"), (batch, hidden), fused=fused)
        assert found == pytest.approx(float(expected), rel=1e-5)


def grouped(batch: Batch, *names: int) -> Batch:
    groups = torch.tensor(names)[:, None].expand_as(batch.targets)
    groups = torch.where(batch.targets == IGNORE, IGNORE, groups)
    return replace(batch, groups=groups, group_names=("data", "student"))


@pytest.mark.parametrize("fused", [True, False])
def test_a_group_is_alone_in_its_mean_even_where_micro_batches_hold_none_of_it(fused):
    (first, h1), (second, h2) = padded(0, 1), padded(2)
    steps = [(grouped(first, 1, 0), h1), (grouped(second, 0), h2)]
    mine = replace(BY_SEQUENCE, on="data")
    expected = (losses(1).mean() + losses(2).mean()) / 2
    assert loss(mine, *steps, fused=fused) == pytest.approx(float(expected), rel=1e-5)
    other = replace(BY_SEQUENCE, on="student")
    assert loss(other, *steps, fused=fused) == pytest.approx(float(losses(0).mean()), rel=1e-5)


def test_a_weight_that_the_batch_does_not_have_is_refused():
    with pytest.raises(ConfigError, match="ce is weighted by 'importance', but the batch has no signals"):
        loss(replace(BY_TOKEN, weighted_by="importance"), padded(0))


@pytest.mark.parametrize("fused", [True, False])
def test_a_teacher_with_a_vocabulary_of_its_own_is_read_on_both_paths(fused):
    random = torch.Generator().manual_seed(5)
    head = Head(torch.randn(V + 4, H, generator=random))
    batch, hidden = padded(0, 1)
    teacher = torch.randn(*hidden.shape, generator=random)
    answer = Outputs(hidden=teacher, head=head) if fused else Outputs(logits=teacher @ head.weight.T)
    term = Term("uld", uld, ("student_logits", "teacher_own_logits"))
    criterion = Criterion([term], fused=fused)
    student = Outputs(hidden=hidden, head=HEAD)
    total, _ = criterion(student, answer, batch, counts=criterion.counts(batch), step=0, total_steps=1)
    learnt = batch.learnt
    q, p = ((x[learnt] @ w.weight.T).softmax(-1) for x, w in ((hidden, HEAD), (teacher, head)))
    ordered = [side.sort(-1, descending=True).values for side in (q, p)]
    ordered[0] = torch.nn.functional.pad(ordered[0], (0, 4))
    torch.testing.assert_close(total, (ordered[0] - ordered[1]).abs().sum(-1).mean())
