"""What every pointwise objective promises, whoever wrote it: one battery over the catalogue."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from limbeck.core.catalogue import catalogue
from limbeck.core.signals import POINTWISE, SIGNALS, Head, TopK
from limbeck.objectives.fused import linear_objective
from tests.objectives.worked import logits, top

V, ROWS = 11, 4
LABELS = torch.tensor([3, 0, 10, 7])

# An objective with required hyperparameters gets them here; the battery refuses to skip one.
OPTIONS: dict[str, list[dict[str, object]]] = {
    "jsd": [{"beta": 0.3}],
    "skew_forward_kl": [{"alpha": 0.1}],
    "skew_reverse_kl": [{"alpha": 0.1}, {"alpha": 0.1, "compat": "released"}],
    "alpha_divergence": [{"alpha": 0.4}],
    "adaptive_kl": [{}, {"compat": "released", "mu": 0.7}],
    "taid": [{"t": 0.4}],
    "decoupled_kd": [{"alpha": 1.0, "beta": 2.0}],
    "policy_gradient": [{}, {"clip": 0.2}],
    "clipped_kl": [{"low": 0.1, "high": 1.0}, {"low": 0.02, "high": 0.9}],
    "corrected_mse": [{}, {"smoothing": 0.2}],
}
BATCH_NUMBERS = {"advantages": -0.7, "sampled_log_probs": -1.5}
# Objectives of raw class scores: a shift counts, there is no temperature, and no stored or masked form.
SCORES = ("corrected_mse", "logit_mse")
ENTRIES = {name: e for name, e in catalogue("objectives").items() if set(e.positional) <= POINTWISE}
CASES = [(name, options) for name in ENTRIES for options in OPTIONS.get(name, [{}])]
DISTRIBUTIONS = [case for case in CASES if case[0] not in SCORES]
DIVERGENCES = [case for case in DISTRIBUTIONS if "teacher_logits" in ENTRIES[case[0]].positional]
# Plain f-divergences of the two distributions: gathering outcomes can only lose information.
F_DIVERGENCES = [
    case
    for case in DIVERGENCES
    if case[0]
    in (
        "forward_kl",
        "reverse_kl",
        "jsd",
        "skew_forward_kl",
        "skew_reverse_kl",
        "total_variation",
        "alpha_divergence",
    )
]
# Some hold a part of the student constant, so that their gradient is not that of their value; the slope of
# uld jumps where two ranks meet, which a step of this size crosses.
SLOPES = [
    (name, options)
    for name, options in CASES
    if name not in ("taid", "adaptive_kl", "uld") and options.get("compat") != "released"
]
FUSED = [(*case, None) for case in CASES] + [(*case, k) for case in DIVERGENCES for k in (4, V)]

every = pytest.mark.parametrize(("name", "options"), CASES)
distributions = pytest.mark.parametrize(("name", "options"), DISTRIBUTIONS)
divergences = pytest.mark.parametrize(("name", "options"), DIVERGENCES)


def call(name: str, s: Tensor, u: Tensor | TopK, options, labels: Tensor = LABELS) -> Tensor:
    given = {
        "student_logits": s,
        "teacher_logits": u,
        "teacher_own_logits": u,
        "labels": labels,
        **numbers(labels),
    }
    entry = ENTRIES[name]
    return entry.load()(*(given[signal] for signal in entry.positional), **options)


def numbers(labels: Tensor) -> dict[str, Tensor]:
    """Signals that come with the batch."""
    return {name: torch.full(labels.shape, value) for name, value in BATCH_NUMBERS.items()}


def gradient(name: str, s: Tensor, u: Tensor | TopK, options) -> Tensor:
    leaf = s.clone().requires_grad_()
    call(name, leaf, u, options).sum().backward()
    return leaf.grad


def pair() -> tuple[Tensor, Tensor]:
    return 2 * logits(ROWS, V, seed=0), 2 * logits(ROWS, V, seed=1)


def test_the_catalogue_speaks_the_vocabulary_of_signals():
    for entry in catalogue("objectives").values():
        assert set(entry.positional) <= set(SIGNALS), entry.name
        assert entry.summary.endswith("."), entry.name
        assert all(word in entry.doc for word in ("Args:", "Returns:", "Raises:", "Source:")), entry.name


@every
def test_rows_do_not_see_one_another(name, options):
    s, u = pair()
    together = call(name, s, u, options)
    assert together.shape == (ROWS,) and together.dtype is torch.float32
    alone = [call(name, s[i : i + 1], u[i : i + 1], options, LABELS[i : i + 1]) for i in range(ROWS)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=1e-5)
    square = call(name, s.view(2, 2, V), u.view(2, 2, V), options, LABELS.view(2, 2))
    torch.testing.assert_close(square, together.view(2, 2), atol=1e-6, rtol=1e-5)


@every
def test_inputs_stay_as_they_are(name, options):
    s, u = pair()
    before = s.clone(), u.clone()
    gradient(name, s, u, options)
    assert torch.equal(s, before[0]) and torch.equal(u, before[1])


@every
def test_nothing_flows_to_the_teacher(name, options):
    s, u = pair()
    s.requires_grad_()
    u.requires_grad_()
    call(name, s, u, options).sum().backward()
    assert u.grad is None and s.grad is not None


@divergences
def test_nothing_flows_to_a_stored_teacher(name, options):
    s, u = pair()
    s.requires_grad_()
    stored = top(u.detach(), 3)
    log_probs = stored.log_probs.clone().requires_grad_()
    call(name, s, TopK(stored.ids, log_probs, stored.log_tail), options).sum().backward()
    assert log_probs.grad is None


@pytest.mark.parametrize(("name", "options"), SLOPES)
def test_the_gradient_is_the_slope_of_the_value(name, options):
    s, u = pair()
    found, step = gradient(name, s, u, options), 2e-3
    for column in range(V):
        up, down = s.clone(), s.clone()
        up[:, column] += step
        down[:, column] -= step
        slope = (call(name, up, u, options) - call(name, down, u, options)) / (2 * step)
        torch.testing.assert_close(found[:, column], slope, atol=2e-3, rtol=1e-2)


@distributions
def test_a_shift_of_all_logits_changes_nothing(name, options):
    s, u = pair()
    torch.testing.assert_close(
        call(name, s + 5, u - 3, options), call(name, s, u, options), atol=1e-5, rtol=1e-4
    )
    assert gradient(name, s, u, options).sum(-1).abs().max() < 1e-5


@every
def test_extreme_logits_give_finite_values_and_gradients(name, options):
    s, u = (5e3 * x.sign() for x in pair())
    s[0], u[0] = 0.0, 0.0
    s[0, 0], u[0, 1] = 1e4, 1e4
    s[1, 2], u[1, 2] = -1e4, 1e4
    assert call(name, s, u, options).isfinite().all()
    assert gradient(name, s, u, options).isfinite().all()


@distributions
def test_columns_masked_on_both_sides_are_as_if_absent(name, options):
    s, u = pair()
    masked = [1, 4]
    kept = [i for i in range(V) if i not in masked]
    s[:, masked], u[:, masked] = -torch.inf, -torch.inf
    place = torch.tensor([kept.index(int(i)) for i in LABELS])
    expected = call(name, s[:, kept], u[:, kept], options, place)
    torch.testing.assert_close(call(name, s, u, options), expected, atol=1e-6, rtol=1e-5)
    found = gradient(name, s, u, options)
    assert found.isfinite().all() and (found[:, masked] == 0).all()


@every
def test_bfloat16_is_read_and_float32_computed(name, options):
    s, u = (x.bfloat16() for x in pair())
    found = call(name, s, u, options)
    assert found.dtype is torch.float32
    assert torch.equal(found, call(name, s.float(), u.float(), options))


@divergences
def test_equal_sides_are_at_distance_0_with_no_slope(name, options):
    s, _ = pair()
    torch.testing.assert_close(call(name, s, s.clone(), options), torch.zeros(ROWS), atol=1e-6, rtol=0)
    torch.testing.assert_close(gradient(name, s, s.clone(), options), torch.zeros(ROWS, V), atol=1e-6, rtol=0)


@divergences
def test_different_sides_are_apart(name, options):
    assert (call(name, *pair(), options) > 1e-3).all()


@divergences
def test_the_temperature_divides_both_sides(name, options):
    s, u = pair()
    warm = call(name, s, u, {**options, "temperature": 2.0})
    torch.testing.assert_close(warm, call(name, s / 2, u / 2, options), atol=1e-6, rtol=1e-5)
    squared = call(name, s, u, {**options, "temperature": 2.0, "temperature_squared": True})
    torch.testing.assert_close(squared, 4 * warm)


@divergences
def test_a_stored_teacher_of_all_tokens_is_the_teacher(name, options):
    s, u = pair()
    whole = top(u, V)
    if name == "adaptive_kl":  # its bucket would be outcome V + 1; both are empty
        assert torch.isneginf(whole.log_tail).all()
    torch.testing.assert_close(call(name, s, whole, options), call(name, s, u, options), atol=2e-6, rtol=1e-5)
    torch.testing.assert_close(
        gradient(name, s, whole, options), gradient(name, s, u, options), atol=2e-6, rtol=1e-4
    )


@pytest.mark.parametrize(("name", "options"), F_DIVERGENCES)
def test_a_stored_teacher_gives_a_lower_bound_that_grows_with_k(name, options):
    s, u = pair()
    bounds = [call(name, s, top(u, k), options) for k in range(1, V + 1)]
    assert (bounds[0] >= -1e-6).all()
    for smaller, larger in pairwise(bounds):
        assert (larger >= smaller - 1e-6).all()
    assert (bounds[-1] <= call(name, s, u, options) + 1e-5).all()


@pytest.mark.parametrize(("name", "options", "stored"), FUSED)
def test_fused_equals_plain(name, options, stored):
    reads = ENTRIES[name].positional
    hidden, weight = logits(ROWS, 6, seed=2).requires_grad_(), logits(V, 6, seed=3).requires_grad_()
    others = V + 3 if "teacher_own_logits" in reads else V
    u, weights = logits(ROWS, others, seed=4), logits(ROWS, seed=5)
    teacher = {"teacher_hidden": u, "teacher_weight": Head(torch.eye(others))}
    if stored:
        u = top(u, stored)
        teacher = {"teacher_topk": u}
    if not {"teacher_logits", "teacher_own_logits"} & set(reads):
        teacher = {}
    found = linear_objective(
        ENTRIES[name].load(),
        hidden,
        weight,
        weights=weights,
        labels=LABELS,
        numbers=numbers(LABELS),
        **teacher,
        **options,
    )
    expected = (weights * call(name, hidden @ weight.T, u, options)).sum()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for ours, plain in zip(
        torch.autograd.grad(found, [hidden, weight]),
        torch.autograd.grad(expected, [hidden, weight]),
        strict=True,
    ):
        torch.testing.assert_close(ours, plain, atol=1e-5, rtol=1e-4)
