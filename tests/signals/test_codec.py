"""The codec of the topk payload against values by hand, its own bounds, and extreme teachers."""

import math

import numpy as np
import pyarrow as pa
import pytest

from limbeck.signals.bits import mark, pack, windows
from limbeck.signals.codec_topk import COLUMNS, Codebook, Support, decode, encode, learn_codebook
from limbeck.signals.levels import delta_for, ladder, nearest, tail_ladder
from limbeck.signals.rehearse import kept_kl
from limbeck.signals.support import Top, support_of, topk_of


def teacher(positions: int, *, vocabulary: int, sharpness: float, most: int, seed: int = 0) -> Support:
    """Supports of random Zipf-like teachers; likely ids are shared between positions."""
    random = np.random.default_rng(seed)
    logits = -sharpness * np.log1p(np.arange(vocabulary)) + random.normal(0, 2, (positions, vocabulary))
    log_p = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    ids = np.argsort(-log_p, axis=1, kind="stable")[:, :most]
    top = Top(ids.astype(np.int32), np.take_along_axis(log_p, ids, 1).astype(np.float32))
    return support_of(top, mass=0.999, vocabulary=vocabulary)


def book_for(support: Support, *, vocabulary: int, most: int, quantisation: float = 1e-4) -> Codebook:
    return learn_codebook(
        support, vocabulary=vocabulary, quantisation=quantisation, most=most, positions=len(support.counts)
    )


def test_values_lie_in_the_stream_from_its_lowest_bit_on():
    # 5 = 101 in bits 0 to 2, 1 = 01 in bits 3 and 4, 300 = 100101100 in bits 5 to 13:
    # 101 + 8 * 1 + 32 * 300 = 9613 = 37 * 256 + 141.
    widths = np.array([3, 2, 9])
    stream = pack(np.array([5, 1, 300]), widths, np.array([0, 3, 5]), 2)
    assert stream.tolist() == [141, 37]
    assert (windows(stream)[0] >> 5) & 511 == 300
    assert mark(np.array([0, 9]), 2).tolist() == [1, 2]


def test_the_ladder_is_even_in_the_square_root_until_steps_are_an_eighth_of_a_nat():
    steps = ladder(0.01)
    # sqrt(p) = 1, 0.99, 0.98: log p = 2 log of these.
    np.testing.assert_allclose(steps[:3], [0, 2 * math.log(0.99), 2 * math.log(0.98)])
    # 2 * 0.01 / sqrt(p) = 1/8 at sqrt(p) = 0.16; from there on the step is 1/8.
    assert np.diff(steps).min() >= -0.1251
    np.testing.assert_allclose(np.diff(steps)[-5:], -0.125)
    assert nearest(np.array([-0.0001, 2 * math.log(0.9849)]), steps).tolist() == [0, 2]
    assert tail_ladder()[255] == -np.inf


def test_a_position_is_written_as_worked_out_by_hand():
    # Steps of 0.17 in sqrt(p) are wider than 1/8 nat everywhere, so all steps are 1/8 of a nat:
    # -log 0.64 = 0.446 is next to 0.5, -log 0.25 = 1.386 next to 1.375.
    support = Support(np.array([2]), np.array([3, 1]), np.log([0.64, 0.25]), np.log([0.11]))
    book = book_for(support, vocabulary=4, most=2, quantisation=1e-2)
    assert book.delta == pytest.approx(math.sqrt(0.97 * 3e-2), rel=1e-3)
    stored = decode(book, encode(book, support, [1]))
    assert stored.ids.tolist() == [3, 1]
    # The tail's level next to log 0.11 = -2.207; the three are then divided by their sum.
    tail = tail_ladder()[nearest(np.log([0.11]), tail_ladder())][0]
    total = math.exp(-0.5) + math.exp(-1.375) + math.exp(tail)
    np.testing.assert_allclose(stored.log_probs, np.array([-0.5, -1.375]) - math.log(total), atol=1e-6)
    np.testing.assert_allclose(stored.log_tails, [tail - math.log(total)], atol=1e-6)


@pytest.mark.parametrize("vocabulary", [2, 5, 320, 50_257])
@pytest.mark.parametrize("sharpness", [0.0, 1.0, 6.0])
def test_ids_come_back_in_order_and_probabilities_within_a_sixteenth_of_a_nat(vocabulary, sharpness):
    support = teacher(60, vocabulary=vocabulary, sharpness=sharpness, most=64)
    book = book_for(support, vocabulary=vocabulary, most=64)
    stored = decode(book, encode(book, support, [10, 1, 29, 20]))
    assert (stored.counts == support.counts).all()
    assert (stored.ids == support.ids).all()
    # Half a step, and what making them add up to one moves.
    assert np.abs(stored.log_probs - support.log_probs).max() < 1 / 16 + 0.02
    firsts = np.cumsum(stored.counts) - stored.counts
    mass = np.add.reduceat(np.exp(stored.log_probs.astype(np.float64)), firsts) + np.exp(stored.log_tails)
    np.testing.assert_allclose(mass, 1, atol=1e-5)
    assert (np.isneginf(stored.log_tails) == (support.counts == vocabulary)).all()


@pytest.mark.parametrize("sharpness", [0.0, 0.5, 1.0, 2.0, 6.0])
@pytest.mark.parametrize("most", [8, 64, 128])
def test_rounding_costs_no_more_than_it_was_given(sharpness, most):
    support = teacher(200, vocabulary=2_000, sharpness=sharpness, most=most)
    book = book_for(support, vocabulary=2_000, most=most)
    lost = kept_kl(support, decode(book, encode(book, support, [200])))
    assert lost.mean() <= 1e-4
    assert lost.max() <= 3e-4  # the worst case: every error is half a step


def test_a_codebook_of_other_positions_still_writes_every_id():
    some = teacher(50, vocabulary=1_000, sharpness=2.0, most=16)
    others = teacher(50, vocabulary=1_000, sharpness=0.0, most=16, seed=1)
    book = book_for(some, vocabulary=1_000, most=16)
    assert (decode(book, encode(book, others, [50])).ids == others.ids).all()


def test_rows_are_read_alone_or_together_in_any_order():
    support = teacher(40, vocabulary=320, sharpness=1.0, most=32)
    book = book_for(support, vocabulary=320, most=32)
    lengths = [7, 1, 12, 20]
    streams = encode(book, support, lengths)
    together = decode(book, streams)
    order = [2, 0, 3, 1]
    shuffled = decode(book, {name: [streams[name][row] for row in order] for name in COLUMNS})
    starts = np.cumsum([0, *lengths])
    positions = np.concatenate([np.arange(starts[row], starts[row + 1]) for row in order])
    a, b = topk_of(together), topk_of(shuffled)
    for before, after in zip(a[:3], b[:3], strict=True):
        assert (before[positions] == after).all()
    alone = decode(book, {name: [streams[name][2]] for name in COLUMNS})
    assert (alone.ids == shuffled.ids[: len(alone.ids)]).all()


def test_a_codebook_survives_its_file():
    support = teacher(50, vocabulary=320, sharpness=1.0, most=32)
    book = book_for(support, vocabulary=320, most=32)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, book.to_table().schema) as writer:
        writer.write_table(book.to_table())
    again = Codebook.from_table(pa.ipc.open_file(sink.getvalue()).read_all())
    assert encode(again, support, [50]) == encode(book, support, [50])


def test_the_support_is_the_smallest_set_that_reaches_the_mass():
    log_p = np.log([[0.6, 0.3, 0.08, 0.02], [0.25, 0.25, 0.25, 0.25]]).astype(np.float32)
    top = Top(np.arange(4, dtype=np.int32)[None].repeat(2, 0), log_p)
    # 0.6 + 0.3 = 0.9 reaches 0.9 only just below in float32: 0.89 leaves no doubt.
    found = support_of(Top(top.ids[:, :3], top.log_probs[:, :3]), mass=0.89, vocabulary=4)
    assert found.counts.tolist() == [2, 3]
    np.testing.assert_allclose(np.exp(found.log_tails), [0.1, 0.25], rtol=1e-5)


def test_the_step_follows_from_the_budget():
    # An error e in sqrt(p) has e^2 = step^2 / 12 on average; KL is 2 * sum of e^2. The tail's step is 1/200.
    delta = delta_for(1e-4, 64)
    assert 64 * delta**2 / 6 + 0.005**2 / 6 == pytest.approx(0.97e-4)
