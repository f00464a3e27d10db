"""Span relation: by hand, by a plain loop, its gradient, and what must not matter."""

import pytest
import torch

from limbeck.core.errors import ObjectiveError
from limbeck.objectives.span_relation import pairs_of, span_relation
from tests.objectives.worked import P, Q, logits, top

SPANS = torch.tensor([[0, 0, 0, -1, 1, 1], [-1, 4, 4, 5, 5, -1], [-1, 2, -1, -1, 3, -1]])


def test_one_pair_worked_out_by_hand():
    # Teacher (.7, .2, .1) * (.2, .5, .3) = (.14, .1, .03); student (.2, .5, .3)^2 = (.04, .25, .09).
    s, z = torch.stack([Q, Q], 1).log(), torch.stack([P, Q], 1).log()
    expected = 0.1**2 + 0.15**2 + 0.06**2
    spans = torch.tensor([[0, 0]])
    found = span_relation(s, z, spans, relative=False)
    torch.testing.assert_close(found, torch.tensor([expected]))
    torch.testing.assert_close(
        span_relation(s, z, spans), torch.tensor([expected / (0.14**2 + 0.1**2 + 0.03**2)])
    )


def by_a_loop(s, z, spans, relative):
    q, p = s.softmax(-1), z.softmax(-1)
    values = []
    for row in range(len(spans)):
        distances, sizes = [], []
        for span in sorted({int(x) for x in spans[row] if x >= 0}):
            pairs = [t for t in range(spans.shape[1] - 1) if spans[row, t] == spans[row, t + 1] == span]
            if pairs:
                c = [p[row, t] * p[row, t + 1] for t in pairs]
                d = [q[row, t] * q[row, t + 1] for t in pairs]
                distances.append(
                    torch.stack([(x - y).square().sum() for x, y in zip(c, d, strict=True)]).mean()
                )
                sizes.append(torch.stack([x.square().sum() for x in c]).mean())
        if not distances:
            values.append(0 * s[row].sum())
        else:
            scale = torch.stack(sizes).mean() if relative else 1.0
            values.append(torch.stack(distances).mean() / scale)
    return torch.stack(values)


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("chunk", [1, 14, 2**22])
def test_equals_a_loop_over_spans_and_pairs_in_value_and_gradient(relative, chunk, monkeypatch):
    monkeypatch.setitem(span_relation.__globals__, "_CHUNK", chunk)
    s, z = logits(3, 6, 7, seed=0).requires_grad_(), logits(3, 6, 7, seed=1)
    upstream = torch.tensor([0.3, -2.0, 1.0])
    found, expected = span_relation(s, z, SPANS, relative=relative), by_a_loop(s, z, SPANS, relative)
    torch.testing.assert_close(found, expected)
    ours, plain = (torch.autograd.grad((upstream * x).sum(), s)[0] for x in (found, expected))
    torch.testing.assert_close(ours, plain, atol=1e-6, rtol=1e-4)
    assert (ours[2] == 0).all() and (ours[0, 3] == 0).all()


def test_equal_products_are_at_distance_0_with_no_slope():
    s = logits(3, 6, 7, seed=0).requires_grad_()
    found = span_relation(s, s.detach().clone(), SPANS)
    torch.testing.assert_close(found, torch.zeros(3), atol=1e-6, rtol=0)
    found.sum().backward()
    assert s.grad.abs().max() < 1e-6


def test_the_relative_value_is_no_smaller_for_a_large_vocabulary():
    for vocabulary in (50, 5000):
        s, z = logits(3, 6, vocabulary, seed=0), logits(3, 6, vocabulary, seed=1)
        assert (span_relation(s, z, SPANS)[:2] > 0.3).all()
    assert span_relation(s, z, SPANS, relative=False).max() < 1e-5


def test_pairs_of_a_row_weigh_1_and_spans_alike():
    row, first, weight = pairs_of(SPANS)
    assert list(zip(row.tolist(), first.tolist(), strict=True)) == [(0, 0), (0, 1), (0, 4), (1, 1), (1, 3)]
    torch.testing.assert_close(weight, torch.tensor([0.25, 0.25, 0.5, 0.5, 0.5]))


def test_a_batch_without_a_pair_is_0_and_its_gradient_too():
    s = logits(3, 6, 7, seed=0).requires_grad_()
    found = span_relation(s, logits(3, 6, 7, seed=1), torch.full((3, 6), -1))
    found.sum().backward()
    assert (found == 0).all() and (s.grad == 0).all()


def test_extreme_and_half_precision_logits_are_finite():
    s, z = (1e4 * logits(3, 6, 7, seed=0).sign()).bfloat16().requires_grad_(), logits(3, 6, 7, seed=1)
    found = span_relation(s, z, SPANS)
    found.sum().backward()
    assert found.dtype is torch.float32 and found.isfinite().all()
    assert s.grad.dtype is torch.bfloat16 and s.grad.isfinite().all()


def test_refuses_stored_teachers_and_spans_of_another_shape():
    s, z = logits(3, 6, 7, seed=0), logits(3, 6, 7, seed=1)
    with pytest.raises(ObjectiveError, match="must give all scores, got a stored top-k"):
        span_relation(s, top(z, 2), SPANS)
    with pytest.raises(ObjectiveError, match=r"spans must be \(3, 6\), one number for each position"):
        span_relation(s, z, SPANS[:, 1:])
