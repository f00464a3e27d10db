"""The fused head against dense logits and autograd: values, gradients, and rows that do not count."""

import pytest
import torch
from torch import Tensor

from limbeck.core import products
from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import Head
from limbeck.objectives import adaptive_kl, cross_entropy, forward_kl, jsd, reverse_kl, sweep, taid, uld
from limbeck.objectives.fused import PointwiseTerm, linear_objective, linear_terms
from tests.objectives.worked import logits, top

N, V, HS, HT = 13, 301, 16, 24
LABELS = torch.randint(V, (N,), generator=torch.Generator().manual_seed(9))
WEIGHTS = logits(N, seed=7)  # of both signs


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch):
    """Chunks of 5 rows and blocks of 2, so that every boundary is crossed."""
    monkeypatch.setattr(sweep, "_CPU_CHUNK", 5 * 4 * V)
    monkeypatch.setattr(sweep, "_CPU_BLOCK", 2 * 4 * V)
    monkeypatch.setattr(products, "_CPU_TILE", 128)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def dense(hidden: Tensor, head: Head) -> Tensor:
    z = hidden @ head.weight.T
    z = (z if head.bias is None else z + head.bias) * head.scale
    return z if head.softcap is None else head.softcap * (z / head.softcap).tanh()


def sides(*, bias: bool = True, scale: float = 0.5, softcap: float | None = 3.0):
    hidden, weight = logits(N, HS, seed=0).requires_grad_(), logits(V, HS, seed=1).requires_grad_()
    offset = logits(V, seed=2).requires_grad_() if bias else None
    teacher = Head(logits(V, HT, seed=4) * 0.5, logits(V, seed=5), scale=0.7, softcap=5.0)
    return hidden, Head(weight, offset, scale, softcap), logits(N, HT, seed=3), teacher


def compare(found: Tensor, expected: Tensor, leaves: list[Tensor]) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    ours = torch.autograd.grad(found, leaves)
    theirs = torch.autograd.grad(expected, leaves)
    for mine, plain in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("softcap", [None, 3.0])
@pytest.mark.parametrize("scale", [1.0, 0.5])
@pytest.mark.parametrize("bias", [False, True])
def test_bias_scale_and_softcap_count_on_both_sides(bias, scale, softcap):
    hidden, head, teacher_hidden, teacher_head = sides(bias=bias, scale=scale, softcap=softcap)
    found = linear_objective(
        jsd, hidden, head, teacher_hidden, teacher_head, weights=WEIGHTS, beta=0.3, temperature=2.0
    )
    expected = jsd(dense(hidden, head), dense(teacher_hidden, teacher_head), beta=0.3, temperature=2.0)
    leaves = [x for x in (hidden, head.weight, head.bias) if x is not None]
    compare(found, (WEIGHTS * expected).sum(), leaves)


@pytest.mark.parametrize("words", [V - 40, V + 90])
def test_a_teacher_may_have_a_vocabulary_of_its_own(words):
    hidden, head, teacher_hidden, _ = sides()
    teacher_head = Head(logits(words, HT, seed=4) * 0.5, logits(words, seed=5), scale=0.7, softcap=5.0)
    weights = torch.stack([WEIGHTS, WEIGHTS.roll(1)])
    weights[0, 3] = weights[1, 4:9] = 0.0
    terms = [PointwiseTerm(cross_entropy, {}), PointwiseTerm(uld, {"temperature": 2.0})]
    teacher = {"teacher_hidden": teacher_hidden, "teacher_head": teacher_head}
    total, sums = linear_terms(terms, hidden, head, weights=weights, labels=LABELS, **teacher)
    z, u = dense(hidden, head), dense(teacher_hidden, teacher_head)
    parts = torch.stack([cross_entropy(z, LABELS), uld(z, u, temperature=2.0)])
    compare(total, (weights * parts).sum(), [hidden, head.weight, head.bias])
    torch.testing.assert_close(sums, (weights * parts).sum(-1), rtol=1e-5, atol=1e-5)


def test_a_vocabulary_of_its_own_is_only_for_objectives_that_name_it():
    hidden, head, teacher_hidden, teacher_head = sides()
    longer = Head(torch.cat([teacher_head.weight, teacher_head.weight]))
    with pytest.raises(ObjectiveError, match="rows and vocabulary must be equal"):
        linear_objective(forward_kl, hidden, head, teacher_hidden, longer, weights=WEIGHTS)
    with pytest.raises(ObjectiveError, match="rows must be equal"):
        linear_objective(uld, hidden, head, teacher_hidden[1:], longer, weights=WEIGHTS)
    with pytest.raises(ObjectiveError, match="teacher_own_logits, got none"):
        linear_objective(uld, hidden, head, weights=WEIGHTS)
    stored = top(teacher_hidden @ teacher_head.weight.T, 4)
    with pytest.raises(ObjectiveError, match="teacher_own_logits, got a TopK"):
        linear_objective(uld, hidden, head, weights=WEIGHTS, teacher_topk=stored)


def test_several_terms_share_a_projection_and_report_their_parts():
    hidden, head, teacher_hidden, teacher_head = sides()
    weights = torch.stack([WEIGHTS, WEIGHTS.roll(1), WEIGHTS.roll(2)])
    weights[0, 3] = weights[1, 4:9] = weights[2] = 0.0
    weights[2, 1] = 2.0
    terms = [
        PointwiseTerm(cross_entropy, {}),
        PointwiseTerm(reverse_kl, {"temperature": 2.0}),
        PointwiseTerm(taid, {"t": 0.4}),
    ]
    labels = LABELS.clone()
    labels[3] = -100  # never looked at: its weight is 0
    total, sums = linear_terms(
        terms,
        hidden,
        head,
        weights=weights,
        labels=labels,
        teacher_hidden=teacher_hidden,
        teacher_head=teacher_head,
    )
    z, u = dense(hidden, head), dense(teacher_hidden, teacher_head)
    values = [cross_entropy(z, LABELS), reverse_kl(z, u, temperature=2.0), taid(z, u, t=0.4)]
    expected = (weights * torch.stack(values)).sum(-1)
    torch.testing.assert_close(sums, expected.detach(), rtol=1e-5, atol=1e-5)
    assert not sums.requires_grad
    compare(total, expected.sum(), [hidden, head.weight, head.bias])


def test_a_stored_teacher_stands_beside_labels():
    hidden, head, teacher_hidden, teacher_head = sides()
    topk = top(dense(teacher_hidden, teacher_head), 12)
    terms = [PointwiseTerm(cross_entropy, {}), PointwiseTerm(forward_kl, {"tail": "renormalise"})]
    weights = torch.stack([WEIGHTS, WEIGHTS.flip(0)])
    total, _ = linear_terms(terms, hidden, head, weights=weights, labels=LABELS, teacher_topk=topk)
    z = dense(hidden, head)
    expected = weights[0] * cross_entropy(z, LABELS) + weights[1] * forward_kl(z, topk, tail="renormalise")
    compare(total, expected.sum(), [hidden, head.weight, head.bias])


@pytest.mark.parametrize("objective", [forward_kl, adaptive_kl])
def test_rows_of_weight_0_are_as_if_dropped_whatever_they_hold(objective):
    hidden, head, teacher_hidden, teacher_head = sides()
    weights = WEIGHTS.clone()
    weights[[0, 6, 7, 12]] = 0.0
    keep = weights != 0
    dropped = linear_objective(
        objective, hidden[keep], head, teacher_hidden[keep], teacher_head, weights=weights[keep]
    )
    broken = torch.where(keep[:, None], hidden, torch.nan)
    kept = linear_objective(
        objective,
        broken,
        head,
        torch.where(keep[:, None], teacher_hidden, torch.inf),
        teacher_head,
        weights=weights,
    )
    assert torch.equal(kept, dropped)
    for mine, other in zip(
        torch.autograd.grad(kept, [hidden, head.weight, head.bias]),
        torch.autograd.grad(dropped, [hidden, head.weight, head.bias]),
        strict=True,
    ):
        assert torch.equal(mine, other)


def test_no_row_at_all_gives_0_and_gradients_of_0():
    hidden, head, teacher_hidden, teacher_head = sides()
    loss = linear_objective(forward_kl, hidden, head, teacher_hidden, teacher_head, weights=torch.zeros(N))
    loss.backward()
    assert loss == 0
    assert all((x.grad == 0).all() for x in (hidden, head.weight, head.bias))


def test_a_frozen_head_and_constant_hidden_states_get_no_gradient():
    hidden, head, teacher_hidden, teacher_head = sides()
    frozen = Head(head.weight.detach(), head.bias.detach(), head.scale, head.softcap)
    loss = linear_objective(forward_kl, hidden, frozen, teacher_hidden, teacher_head, weights=WEIGHTS)
    whole = linear_objective(forward_kl, hidden, head, teacher_hidden, teacher_head, weights=WEIGHTS)
    assert torch.equal(torch.autograd.grad(loss, hidden)[0], torch.autograd.grad(whole, hidden)[0])
    loss = linear_objective(forward_kl, hidden.detach(), head, teacher_hidden, teacher_head, weights=WEIGHTS)
    loss.backward()
    assert hidden.grad is None and head.weight.grad is not None


def test_without_grad_only_the_value_is_computed():
    hidden, head, teacher_hidden, teacher_head = sides()
    with torch.no_grad():
        quiet = linear_objective(forward_kl, hidden, head, teacher_hidden, teacher_head, weights=WEIGHTS)
    loud = linear_objective(forward_kl, hidden, head, teacher_hidden, teacher_head, weights=WEIGHTS)
    assert torch.equal(quiet, loud.detach()) and not quiet.requires_grad


def test_the_gradient_scales_with_what_comes_from_above_and_can_be_taken_twice():
    hidden, head, teacher_hidden, teacher_head = sides()
    loss = linear_objective(forward_kl, hidden, head, teacher_hidden, teacher_head, weights=WEIGHTS)
    once = torch.autograd.grad(loss, head.weight, retain_graph=True)[0].clone()
    thrice = torch.autograd.grad(3 * loss, head.weight, retain_graph=True)[0]
    torch.testing.assert_close(thrice, 3 * once)
    assert torch.equal(torch.autograd.grad(loss, head.weight)[0], once)


def test_nothing_flows_to_the_teacher():
    hidden, head, teacher_hidden, teacher_head = sides()
    teacher_hidden.requires_grad_()
    theirs = Head(teacher_head.weight.requires_grad_(), teacher_head.bias.requires_grad_())
    linear_objective(jsd, hidden, head, teacher_hidden, theirs, weights=WEIGHTS, beta=0.5).backward()
    assert teacher_hidden.grad is None and theirs.weight.grad is None and theirs.bias.grad is None


def test_bfloat16_is_computed_in_float32_and_answered_in_bfloat16():
    hidden, head, teacher_hidden, teacher_head = sides(bias=False, scale=1.0, softcap=None)
    low = hidden.detach().bfloat16().requires_grad_()
    low_head = Head(head.weight.detach().bfloat16().requires_grad_())
    high, high_head = low.detach().float().requires_grad_(), Head(low_head.weight.detach().float())
    high_head.weight.requires_grad_()
    found = linear_objective(jsd, low, low_head, teacher_hidden, teacher_head, weights=WEIGHTS, beta=0.5)
    expected = linear_objective(jsd, high, high_head, teacher_hidden, teacher_head, weights=WEIGHTS, beta=0.5)
    torch.testing.assert_close(found, expected)
    found.backward()
    expected.backward()
    assert low.grad.dtype is low_head.weight.grad.dtype is torch.bfloat16
    assert torch.equal(low.grad, high.grad.bfloat16())
    assert torch.equal(low_head.weight.grad, high_head.weight.grad.bfloat16())


def test_autocast_leaves_value_and_gradient_in_float32():
    hidden, head, teacher_hidden, teacher_head = sides()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = linear_objective(forward_kl, hidden, head, teacher_hidden, teacher_head, weights=WEIGHTS)
    outside = linear_objective(forward_kl, hidden, head, teacher_hidden, teacher_head, weights=WEIGHTS)
    assert inside.dtype is torch.float32
    torch.testing.assert_close(inside, outside)
    inside.backward()
    assert head.weight.grad.dtype is torch.float32


def test_an_objective_of_the_users_own_needs_no_kernel():
    def squared(student_logits, teacher_logits, labels, *, power):
        gap = student_logits.softmax(-1) - teacher_logits.softmax(-1)
        return gap.abs().pow(power).sum(-1) + student_logits.gather(-1, labels[:, None]).squeeze(-1)

    hidden, head, teacher_hidden, teacher_head = sides()
    found = linear_objective(
        squared, hidden, head, teacher_hidden, teacher_head, weights=WEIGHTS, labels=LABELS, power=3
    )
    z, u = dense(hidden, head), dense(teacher_hidden, teacher_head)
    compare(found, (WEIGHTS * squared(z, u, LABELS, power=3)).sum(), [hidden, head.weight, head.bias])


def test_masked_vocabulary_by_a_bias_of_minus_infinity_stays_finite():
    hidden, head, teacher_hidden, teacher_head = sides(scale=1.0, softcap=None)
    masked = torch.zeros(V).index_fill(0, torch.tensor([0, 17, V - 1]), -torch.inf)
    ours, theirs = Head(head.weight, masked), Head(teacher_head.weight, masked)
    for objective, options in ((reverse_kl, {}), (jsd, {"beta": 0.5}), (adaptive_kl, {})):
        found = linear_objective(objective, hidden, ours, teacher_hidden, theirs, weights=WEIGHTS, **options)
        expected = objective(dense(hidden, ours), dense(teacher_hidden, theirs), **options)
        compare(found, (WEIGHTS * expected).sum(), [hidden, head.weight])
        assert found.isfinite()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": torch.ones(N - 1)}, r"weights must be \(1, 13\), got \(1, 12\)"),
        ({"teacher_hidden": None, "teacher_weight": None}, "must be given, got neither"),
        ({"teacher_weight": None}, "must come together"),
        ({"teacher_weight": torch.zeros(V + 3, HT)}, r"student \(13, 301\), teacher \(13, 304\)"),
        ({"student_weight": torch.zeros(V, HS + 1)}, r"student_hidden must be \[N, H\]"),
        ({"temperature": -1.0}, "temperature must be above 0"),
        ({"objective": cross_entropy}, "labels must be given"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_computed(changed, message):
    hidden, head, teacher_hidden, teacher_head = sides()
    arguments = {
        "objective": forward_kl,
        "student_hidden": hidden,
        "student_weight": head,
        "teacher_hidden": teacher_hidden,
        "teacher_weight": teacher_head,
        "weights": WEIGHTS,
    } | changed
    with pytest.raises(ObjectiveError, match=message):
        linear_objective(**arguments)


def test_an_objective_of_more_than_rows_is_refused():
    def by_states(student_states, teacher_states):
        return student_states

    with pytest.raises(ObjectiveError, match="by_states must read student_logits and else only"):
        linear_objective(by_states, torch.zeros(2, 3), torch.zeros(5, 3), weights=torch.ones(2))
