"""LESS: closed forms, projections, and numbers that its own code prints."""

import numpy as np
import pytest
import torch

from limbeck.core.adam_directions import adam_direction, rademacher
from limbeck.core.errors import ConfigError
from limbeck.selectors import less
from limbeck.selectors.less import Gradients, influence


def units(draw, *shape):
    found = draw.standard_normal(shape)
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def test_scores_of_logistic_regression_are_closed_form_cosines():
    # The gradient of the cross-entropy of sigmoid(w x) is (p - y) x.
    draw = np.random.default_rng(0)
    w, x, y = draw.standard_normal(6), draw.standard_normal((20, 6)), draw.integers(0, 2, 20)
    weights = torch.tensor(w, requires_grad=True)
    found = []
    for one, label in zip(torch.tensor(x), torch.tensor(y, dtype=torch.float64), strict=True):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(one @ weights, label)
        (slope,) = torch.autograd.grad(loss, weights)
        found.append((slope / slope.norm()).numpy())
    gradients = np.stack(found)
    scores = influence(Gradients(gradients[None, :15], gradients[None, 15:], ["t"] * 5, [1e-3]))
    closed = ((1 / (1 + np.exp(-x @ w))) - y)[:, None] * x
    closed /= np.linalg.norm(closed, axis=1, keepdims=True)
    np.testing.assert_allclose(scores, (closed[:15] @ closed[15:].T).mean(1), atol=1e-6)


def test_checkpoints_count_by_their_rates_and_the_best_task_decides():
    train = np.array([[[1.0, 0]], [[0, 1.0]]])
    target = np.array([[[1.0, 0], [0, 1], [0, 1]], [[1, 0], [0, 1], [1, 0]]])
    # Task a: 3/4 x 1 + 1/4 x 0; task b: 3/4 x 0 + 1/4 x 1/2.
    assert influence(Gradients(train, target, ["a", "b", "b"], [3e-4, 1e-4])) == pytest.approx([0.75])


def test_rows_of_the_target_task_are_found_among_others():
    draw = np.random.default_rng(1)
    task, other = units(draw, 64), units(draw, 64)
    pool = np.concatenate([task + 0.1 * units(draw, 20, 64) * 3, other + 0.1 * units(draw, 180, 64) * 3])
    pool /= np.linalg.norm(pool, axis=1, keepdims=True)
    shots = task + 0.2 * units(draw, 5, 64)
    picks = [pick.row for pick in less(Gradients(pool[None], shots[None], ["t"] * 5, [1.0]))]
    assert np.mean(np.array(picks[:20]) < 20) > 0.8


def test_shapes_that_do_not_fit_and_rates_of_0_are_refused():
    train, target = np.ones((1, 2, 3)), np.ones((1, 1, 3))
    with pytest.raises(ConfigError, match="gradients must be"):
        influence(Gradients(train, target[..., :2], ["a"], [1.0]))
    with pytest.raises(ConfigError, match="rates must add up to more than 0"):
        influence(Gradients(train, target, ["a"], [0.0]))


def test_a_small_gradient_is_damped_by_the_official_form_alone():
    g, zero = torch.tensor([1e-6], dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    assert adam_direction(g, zero, zero).item() == pytest.approx(1e-3, rel=1e-4)
    textbook = adam_direction(g, zero, zero, form="textbook")
    assert textbook.item() == pytest.approx(1 / 1.01, rel=1e-6)  # g / (|g| + 1e-8)
    with pytest.raises(ConfigError, match="form must be"):
        adam_direction(g, zero, zero, form="other")  # type: ignore[arg-type]


def test_the_textbook_form_is_what_torch_does_next():
    weight = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
    optimizer = torch.optim.Adam([weight], lr=1.0)
    draw = torch.Generator().manual_seed(0)
    for step in range(4):
        gradient = torch.randn(4, generator=draw, dtype=torch.float64)
        state = optimizer.state.get(weight, {})
        first = state.get("exp_avg", torch.zeros(4)).clone()
        second = state.get("exp_avg_sq", torch.zeros(4)).clone()
        expected = adam_direction(gradient, first, second, form="textbook", steps=step)
        before, weight.grad = weight.detach().clone(), gradient
        optimizer.step()
        torch.testing.assert_close(before - weight.detach(), expected)


def test_a_projection_by_signs_keeps_inner_products():
    draw = np.random.default_rng(2)
    dimension, vectors = 1024, torch.tensor(units(draw, 30, 500))
    projected = rademacher(vectors, dimension, seed=0)
    error = (projected @ projected.T - vectors.float() @ vectors.float().T)[np.triu_indices(30, 1)]
    assert (error.abs() < 4 / dimension**0.5).float().mean() >= 0.99
    assert not torch.equal(projected, rademacher(vectors, dimension, seed=1))
    torch.testing.assert_close(projected[:3], rademacher(vectors[:3], dimension, seed=0))
