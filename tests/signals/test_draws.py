"""Ids drawn from a tail: by hand, right on average, and stored."""

import math

import numpy as np
import pytest
import torch

from limbeck.core.outputs import Outputs
from limbeck.core.signals import TopK
from limbeck.objectives import forward_kl
from limbeck.signals.codec_topk import DRAWS, decode, encode, learn_codebook
from limbeck.signals.draws import draw
from limbeck.signals.support import Draws, Top, support_of, top_of, topk_of

FIVE = torch.tensor([[0.4, 0.29, 0.12, 0.11, 0.08]])


def drawn(p: torch.Tensor, uniforms: list[float], *, most: int, draws: int):
    """Draws of one distribution at several numbers."""
    rows = p.expand(len(uniforms), -1).clone()
    return draw(rows, rows.topk(most).indices, torch.tensor(uniforms, dtype=torch.float64), draws=draws)


def answers(count: int, vocabulary: int, *, seed: int = 0, sharpness: float = 1.0) -> torch.Tensor:
    """[count, V] logits of Zipf-like teachers."""
    random = torch.Generator().manual_seed(seed)
    ranks = torch.arange(1, vocabulary + 1).log() * sharpness
    return torch.randn(count, vocabulary, generator=random) - ranks


def captured(
    logits: torch.Tensor, uniforms: np.ndarray, *, most: int = 16, draws: int = 4, mass: float = 0.999
):
    """The support of every position."""
    everything = torch.ones(1, len(logits), dtype=torch.bool)
    how = Draws(mass, draws, uniforms)
    top = top_of(Outputs(logits=logits[None]), everything, most=most, draws=how)
    return support_of(top, mass=mass, vocabulary=logits.shape[1])


def test_draws_lie_where_the_numbers_say():
    # Two of four ids are drawn: 0.4 and 0.29 are kept, the others hold 0.31, id 2 up to 0.12, id 3 to 0.23.
    # Points lie at u * 0.155 and 0.155 behind: u = 0.2 gives 0.031 and 0.186, ids 2 and 3; u = 0.8 gives
    # 0.124 and 0.279, ids 3 and 4.
    found = drawn(FIVE, [0.2, 0.8], most=4, draws=2)
    assert found.kept.tolist() == [2, 2]
    assert found.ids.tolist() == [[2, 3], [3, 4]]


def test_an_id_that_would_be_drawn_for_sure_is_kept():
    # Of 0.2, 0.05 and 0.05, two draws would take the first for sure: 2 * 0.2 > 0.3. It is kept, one is drawn.
    p = torch.tensor([[0.4, 0.3, 0.2, 0.05, 0.05]])
    found = drawn(p, [0.4, 0.6], most=4, draws=2)
    assert found.kept.tolist() == [3, 3]
    assert found.ids.tolist() == [[3, -1], [4, -1]]


def test_a_tail_without_mass_gives_no_draws():
    p = torch.tensor([[0.5, 0.3, 0.2, 0.0, 0.0]])
    assert drawn(p, [0.5], most=4, draws=2).ids.tolist() == [[-1, -1]]


@pytest.mark.parametrize("vocabulary", [40, 320, 1000])
def test_every_id_is_drawn_in_proportion_to_its_probability(vocabulary):
    p = answers(1, vocabulary).softmax(-1)
    count = 4000
    uniforms = ((np.arange(count) + 0.5) / count).tolist()  # every number once: means without noise
    found = drawn(p, uniforms, most=16, draws=4)
    (kept,) = set(found.kept.tolist())
    tail = p.clone()
    tail[0, p.topk(kept).indices] = 0
    assert (found.ids >= 0).all() and 16 - kept == 4
    often = torch.bincount(found.ids.flatten(), minlength=vocabulary) / count
    torch.testing.assert_close(often, 4 * tail[0] / tail.sum(), atol=3 / count, rtol=0)


def test_the_stored_distribution_is_the_teachers_on_average():
    logits = answers(1, 300)
    count = 2000
    support = captured(logits.expand(count, -1), np.random.default_rng(0).random(count))
    topk = topk_of(support)
    mean = torch.zeros(300, dtype=torch.float64)
    held = topk.log_probs.double().exp()
    assert torch.equal(topk.ids, topk.ids[:1].expand(count, -1))
    mean[topk.ids[0]] = held[0]
    share = topk.log_tail.double().exp() / topk.drawn_ids.shape[1]
    seen = torch.bincount(topk.drawn_ids.flatten(), minlength=300)
    mean += seen * share[0] / count
    exact = logits.double().softmax(-1)[0]
    # A drawn id is there or not: the scatter of its share of `count` draws.
    chance = (exact / share[0]).clamp(max=1)
    error = share[0] * (chance * (1 - chance) / count).sqrt()
    assert ((mean - exact).abs() <= 5 * error + 1e-6).all()
    assert float(mean.sum()) == pytest.approx(1, abs=1e-6)


def test_forward_kl_and_its_gradient_are_those_of_the_whole_teacher_on_average():
    logits, student = answers(1, 300), answers(1, 300, seed=1, sharpness=0.5)
    count = 2000
    uniforms = (np.arange(count) + 0.5) / count
    topk = topk_of(captured(logits.expand(count, -1), uniforms))
    leaf = student.clone().requires_grad_()
    value = forward_kl(leaf.expand(count, -1), topk)
    value.mean().backward()
    whole = student.clone().requires_grad_()
    exact = forward_kl(whole, logits)
    exact.sum().backward()
    assert float(value.mean()) == pytest.approx(float(exact), abs=1e-3)
    assert value.std() > 0.01, "single draws are apart"
    torch.testing.assert_close(leaf.grad, whole.grad, atol=2e-4, rtol=0)
    bucket = forward_kl(student, TopK(*topk[:3]).each(lambda part: part[:1]), tail="bucket")
    assert float(bucket) < float(exact) - 0.1, "a bucket would not pass"


def test_a_nucleus_that_fits_has_no_draws():
    logits = torch.cat([answers(1, 300, sharpness=6.0), answers(1, 300, sharpness=0.5)])
    support = captured(logits, np.full(2, 0.5))
    assert support.draws.tolist() == [0, 4]
    plain = support_of(Top(*top_of_rows(logits)), mass=0.999, vocabulary=300)
    assert support.counts[0] == plain.counts[0] < 16
    assert (support.ids[: plain.counts[0]] == plain.ids[: plain.counts[0]]).all()
    assert support.log_tails[0] == pytest.approx(plain.log_tails[0], abs=1e-3)


def top_of_rows(logits: torch.Tensor):
    """Ids and log-probabilities of the 16 likeliest."""
    found = logits.log_softmax(-1).topk(16)
    return found.indices.int().numpy(), found.values.numpy()


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 1.5])
def test_drawn_ids_come_back_from_the_store(sharpness):
    logits = answers(60, 1000, sharpness=sharpness)
    logits[::7] *= 5  # some positions have no draws
    support = captured(logits, np.random.default_rng(0).random(60), most=64, draws=16)
    book = learn_codebook(support, vocabulary=1000, quantisation=1e-4, most=64, positions=60)
    streams = encode(book, support, [10, 1, 29, 20])
    assert tuple(streams) == book.columns and DRAWS in book.columns
    found = decode(book, streams)
    assert 0 == support.draws.min() < support.draws.max() <= 16
    for name in ("counts", "ids", "draws"):
        assert (getattr(found, name) == getattr(support, name)).all()
    apart = np.abs(found.log_probs - support.log_probs)
    assert apart[~support.is_drawn].max() < 1 / 16 + 0.02
    assert apart[support.is_drawn].max() < 1 / 4 + 1 / 16 + 0.02
    kept = found.kept()
    firsts = np.cumsum(kept.counts) - kept.counts
    mass = np.add.reduceat(np.exp(kept.log_probs.astype(np.float64)), firsts) + np.exp(kept.log_tails)
    np.testing.assert_allclose(mass, 1, atol=1e-5)
    topk = topk_of(found)
    for row in range(60):
        here = topk.ids[row].tolist() + topk.drawn_ids[row].tolist()
        assert len({one for one in here if one >= 0}) == support.counts[row]
    assert math.isclose(
        float(topk.drawn_log_probs[topk.drawn_ids >= 0].max()), found.log_probs[found.is_drawn].max()
    )
