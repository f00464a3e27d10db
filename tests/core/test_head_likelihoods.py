"""Likelihoods from hidden states against the log-softmax of all logits, in float64."""

import pytest
import torch
from torch import Tensor

from limbeck.core import head_likelihoods, products
from limbeck.core.errors import ObjectiveError
from limbeck.core.head_likelihoods import linear_likelihoods
from limbeck.core.masks import IGNORE
from limbeck.core.signals import Head

N, V, H = 7, 23, 5
LABELS = torch.tensor([3, IGNORE, 0, 22, 7, IGNORE, 7])
STARTS = torch.arange(V) % 3 == 0


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch):
    """Chunks of 3 rows, blocks of 2 and tiles of 8 columns, so that every boundary is crossed."""
    monkeypatch.setattr(head_likelihoods, "_CPU_CHUNK", 3 * 4 * V)
    monkeypatch.setattr(head_likelihoods, "_CPU_BLOCK", 2 * 4 * V)
    monkeypatch.setattr(products, "_CPU_TILE", 8)


def inputs(*, bias: bool = True, dtype=torch.float64) -> list[Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = [(N, H), (V, H), (V,)][: 3 if bias else 2]
    return [torch.randn(shape, generator=random, dtype=dtype).requires_grad_() for shape in shapes]


def by_log_softmax(hidden: Tensor, head: Head) -> tuple[Tensor, Tensor]:
    z = hidden @ head.weight.T
    z = (z if head.bias is None else z + head.bias) * head.scale
    log_q = (z if head.softcap is None else head.softcap * (z / head.softcap).tanh()).log_softmax(-1)
    read = LABELS != IGNORE
    log_probs = torch.zeros(N, dtype=z.dtype)
    log_probs[read] = log_q[read, LABELS[read]]
    return log_probs, log_q[:, STARTS].logsumexp(-1)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("scale", "softcap"), [(1.0, None), (0.5, 3.0)])
def test_values_and_gradients_are_those_of_the_log_softmax(bias, scale, softcap):
    leaves = inputs(bias=bias)
    head = Head(*leaves[1:], *(() if bias else (None,)), scale, softcap)
    found, expected = linear_likelihoods(leaves[0], head, LABELS, STARTS), by_log_softmax(leaves[0], head)
    factors = torch.linspace(-1, 2, N, dtype=torch.float64), torch.linspace(1, 0, N, dtype=torch.float64)
    for ours, plain in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, plain)
    gradients = [
        torch.autograd.grad(sum((f * v).sum() for f, v in zip(factors, values, strict=True)), leaves)
        for values in (found, expected)
    ]
    for ours, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, plain)


def test_gradcheck():
    def both(hidden, weight, bias):
        return linear_likelihoods(hidden, Head(weight, bias, 0.7, 4.0), LABELS, STARTS)

    assert torch.autograd.gradcheck(both, inputs())


def test_two_equal_logits_share_the_mass():
    # All scores are 0: every id has probability 1 / V, and 8 of 23 begin a word.
    log_probs, log_starts = linear_likelihoods(torch.zeros(N, H), Head(torch.ones(V, H)), LABELS, STARTS)
    expected = torch.where(LABELS == IGNORE, 0.0, -torch.tensor(23.0).log())
    torch.testing.assert_close(log_probs, expected)
    torch.testing.assert_close(log_starts, torch.tensor(8 / 23).log().expand(N))


def test_ignored_labels_give_0_and_teach_nothing():
    hidden, weight = inputs(bias=False)
    log_probs, _ = linear_likelihoods(hidden, Head(weight), LABELS)
    log_probs.sum().backward()
    ignored = LABELS == IGNORE
    assert (log_probs[ignored] == 0).all() and (hidden.grad[ignored] == 0).all()
    assert (hidden.grad[~ignored] != 0).all()


def test_all_ids_hold_all_mass_and_no_ids_none():
    hidden, weight = inputs(bias=False)
    for starts, expected in ((None, 0.0), (STARTS | True, 0.0), (STARTS & False, -torch.inf)):
        _, log_starts = linear_likelihoods(hidden, Head(weight), LABELS, starts)
        assert (log_starts == expected).all()
        (gradient,) = torch.autograd.grad(log_starts.sum(), hidden)
        assert (gradient == 0).all()


def test_a_mass_below_the_least_float_keeps_its_logarithm_and_gradient():
    # Id 1 is 200 nats less likely than id 0: exp(-200) is no float32.
    hidden = torch.tensor([[1.0]], requires_grad=True)
    head = Head(torch.tensor([[0.0], [-200.0]]))
    _, log_starts = linear_likelihoods(hidden, head, torch.tensor([0]), torch.tensor([False, True]))
    log_starts.sum().backward()
    assert log_starts.item() == -200.0 and hidden.grad.item() == -200.0


def test_no_rows_give_nothing():
    hidden, weight = torch.zeros(0, H, requires_grad=True), torch.ones(V, H, requires_grad=True)
    found = linear_likelihoods(hidden, Head(weight), LABELS[:0], STARTS)
    sum(part.sum() for part in found).backward()
    assert all(part.shape == (0,) for part in found) and (weight.grad == 0).all()


def test_bfloat16_is_read_and_float32_computed():
    hidden, weight = (x.detach().bfloat16().requires_grad_() for x in inputs(bias=False))
    found = linear_likelihoods(hidden, Head(weight), LABELS, STARTS)
    found[0].sum().backward()
    assert found[0].dtype is torch.float32 and hidden.grad.dtype is torch.bfloat16
    wide = linear_likelihoods(hidden.float(), Head(weight.float()), LABELS, STARTS)
    assert all(torch.equal(ours, plain) for ours, plain in zip(found, wide, strict=True))


def test_shapes_that_do_not_fit_are_refused():
    hidden, weight = inputs(bias=False)
    with pytest.raises(ObjectiveError, match="hidden must be"):
        linear_likelihoods(hidden[:, 1:], Head(weight), LABELS)
    with pytest.raises(ObjectiveError, match="labels must be"):
        linear_likelihoods(hidden, Head(weight), LABELS[1:])
    with pytest.raises(ObjectiveError, match="starts must be bool"):
        linear_likelihoods(hidden, Head(weight), LABELS, STARTS.long())
