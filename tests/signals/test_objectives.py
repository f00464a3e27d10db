"""Every objective reads a stored support, of any size, as it reads the same outcomes written out."""

import numpy as np
import pytest
import torch

from limbeck.core.outputs import Outputs
from limbeck.core.signals import TopK
from limbeck.objectives.fused import linear_objective
from limbeck.signals.codec_topk import decode, encode, learn_codebook
from limbeck.signals.support import support_of, top_of, topk_of
from tests.contracts.test_objectives import DIVERGENCES, ENTRIES

V, ROWS, WIDTH = 40, 6, 5
LABELS = torch.tensor([3, 0, 10, 7, 39, 3])
READ = {"student_logits", "teacher_logits", "labels"}
CASES = [(name, options) for name, options in DIVERGENCES if set(ENTRIES[name].positional) <= READ]


def numbers(*shape: int, seed: int, scale: float = 2.0) -> torch.Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def supports() -> tuple[object, object]:
    """A teacher's supports of different sizes, exact and as stored."""
    logits = numbers(ROWS, V, seed=1).float() * torch.linspace(0.3, 3, ROWS)[:, None]
    top = top_of(Outputs(logits=logits[None]), torch.ones(1, ROWS, dtype=torch.bool), most=16)
    exact = support_of(top, mass=0.9, vocabulary=V)
    book = learn_codebook(exact, vocabulary=V, quantisation=1e-4, most=16, positions=ROWS)
    return exact, decode(book, encode(book, exact, [ROWS]))


def alone(topk: TopK, row: int) -> TopK:
    """One position without empty places."""
    keep = topk.log_probs[row].isfinite()
    return TopK(topk.ids[row][keep][None], topk.log_probs[row][keep][None], topk.log_tail[row][None])


def call(name: str, student: torch.Tensor, teacher: TopK, labels: torch.Tensor, options) -> torch.Tensor:
    entry = ENTRIES[name]
    given = {"student_logits": student, "teacher_logits": teacher, "labels": labels}
    return entry.load()(*(given[signal] for signal in entry.positional), **options)


def test_the_battery_is_all_there():
    names = {name for name, _ in CASES}
    assert {"forward_kl", "reverse_kl", "jsd", "adaptive_kl", "taid", "decoupled_kd"} <= names
    assert topk_of(supports()[0]).log_probs.isinf().any(), "some positions have fewer ids than others"


@pytest.mark.parametrize(("name", "options"), CASES)
def test_empty_places_change_neither_value_nor_gradient(name, options):
    topk = topk_of(supports()[0])
    student = numbers(ROWS, V, seed=2).float().requires_grad_()
    together = call(name, student, topk, LABELS, options)
    (gradient,) = torch.autograd.grad(together.sum(), student)
    assert gradient.isfinite().all()
    for row in range(ROWS):
        one = student.detach()[row : row + 1].requires_grad_()
        expected = call(name, one, alone(topk, row), LABELS[row : row + 1], options)
        torch.testing.assert_close(together[row : row + 1], expected)
        torch.testing.assert_close(gradient[row : row + 1], torch.autograd.grad(expected.sum(), one)[0])


@pytest.mark.parametrize(("name", "options"), CASES)
def test_fused_and_plain_agree_on_supports_of_different_sizes(name, options):
    topk = topk_of(supports()[0])
    hidden, weight = (
        numbers(*shape, seed=3).float().requires_grad_() for shape in ((ROWS, WIDTH), (V, WIDTH))
    )
    weights = torch.linspace(0.2, 1, ROWS)
    entry = ENTRIES[name]
    fused = linear_objective(
        entry.load(), hidden, weight, weights=weights, labels=LABELS, teacher_topk=topk, **options
    )
    plain = (call(name, hidden @ weight.T, topk, LABELS, options) * weights).sum()
    torch.testing.assert_close(fused, plain, atol=1e-5, rtol=1e-5)
    for a, b in zip(
        torch.autograd.grad(fused, (hidden, weight)),
        torch.autograd.grad(plain, (hidden, weight)),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_rounding_moves_no_objective_by_more_than_it_says(name, options):
    exact, stored = (topk_of(one) for one in supports())
    student = numbers(ROWS, V, seed=2).float()
    a, b = (call(name, student, topk, LABELS, options) for topk in (exact, stored))
    # Log-probabilities are right to 1/16 and their KL to 1e-4: a divergence of size d moves by about
    # sqrt(2e-4 * d). The median, because the head of adaptive_kl changes by whole ids.
    assert (a - b).abs().median() < 0.02 * max(1.0, float(a.abs().mean()))
    assert np.isfinite(b.numpy()).all()
