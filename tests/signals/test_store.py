"""A store against the live teacher, read padded, packed and in any order."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from datasets import load_dataset

from limbeck.core.errors import StoreError
from limbeck.core.needs import DISTRIBUTION, at
from limbeck.signals.reader import Signals
from limbeck.teachers import StoredTeacher
from tests import tiny
from tests.signals.world import PAYLOADS, World, dense_log_probs


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.fixture(scope="module", params=["text", "answers"])
def stores(request, tmp_path_factory):
    """A world with a store of each payload."""
    world = World(kind=request.param)
    folder = tmp_path_factory.mktemp(request.param)
    for payload in ("topk", "hidden"):
        world.capture(folder / payload, payload=payload)
    return world, folder


def stored(folder) -> StoredTeacher:
    return StoredTeacher(Signals(folder), tiny.VOCABULARY)


@pytest.mark.parametrize("source", ["padded", "packed"])
def test_hidden_states_in_float32_are_the_live_ones(stores, source):
    world, folder = stores
    batch = getattr(world, source).batch(range(len(getattr(world, source))))
    live, answer = (
        world.teacher.answer(batch, DISTRIBUTION),
        stored(folder / "hidden").answer(batch, DISTRIBUTION),
    )
    # Rows were captured in other batches: equal to the rounding of a matrix product.
    torch.testing.assert_close(
        answer.hidden[batch.loss_mask], live.hidden[batch.loss_mask], atol=1e-4, rtol=1e-4
    )
    assert torch.equal(answer.head.weight, live.head.weight)


def test_the_topk_answer_holds_the_mass_and_follows_the_live_distribution(stores):
    world, folder = stores
    batch = world.padded.batch(range(len(world.padded)))
    exact = dense_log_probs(world.teacher.answer(batch, DISTRIBUTION), batch.loss_mask)
    topk = stored(folder / "topk").answer(batch, DISTRIBUTION).topk
    ids, log_probs, log_tail, drawn, _ = (part[batch.loss_mask].numpy() for part in topk)
    draws = (drawn >= 0).sum(1)
    assert 0 == draws.min() < draws.max() <= 16, "some positions have drawn ids"
    is_there = np.isfinite(log_probs)
    counts = is_there.sum(1)
    assert counts.min() < counts.max() <= 64, "supports of this teacher differ in size"
    expected = np.take_along_axis(exact, ids, 1)
    assert np.abs((log_probs - expected)[is_there]).max() < 1 / 16 + 0.01
    held = np.where(is_there, np.exp(expected), 0)
    is_enough = np.where(draws > 0, counts + draws == 64, held.sum(1) >= 0.999 - 1e-6)
    assert is_enough.all(), "as many ids as the mass asks for, or as there may be"
    smaller = held.sum(1) - held[np.arange(len(held)), counts - 1]
    assert (smaller < 0.999 + 1e-6).all(), "and no more"
    np.testing.assert_allclose(
        np.exp(log_tail), np.maximum(1 - held.sum(1), 1e-9), atol=2e-3, rtol=0.15, err_msg="the tail is kept"
    )
    lost = np.where(is_there, np.exp(expected) * (expected - np.where(is_there, log_probs, 0)), 0).sum(1)
    tail = np.maximum(1 - held.sum(1), 1e-9)
    assert (lost + tail * (np.log(tail) - log_tail)).mean() < 1e-4


@pytest.mark.parametrize("payload", ["topk", "hidden"])
def test_packed_rows_get_the_answers_of_padded_ones(stores, payload):
    world, folder = stores
    teacher = stored(folder / payload)
    padded, packed = {}, {}
    for source, found in ((world.padded, padded), (world.packed, packed)):
        for entry in reversed(range(len(source))):
            batch = source.batch([entry])
            answer = teacher.answer(batch, DISTRIBUTION)
            parts = answer.topk if payload == "topk" else (answer.hidden,)
            start = 0
            for name in batch.row_ids[0]:
                size = world.padded.lengths[int(name)]
                keep = batch.loss_mask[0, start : start + size]
                found[name] = [part[0, start : start + size][keep] for part in parts]
                start += size
    assert padded.keys() == packed.keys()
    for name, parts in padded.items():
        for part, other in zip(parts, packed[name], strict=True):
            width = min(part.shape[-1], other.shape[-1]) if part.dim() > 1 else None
            assert torch.equal(part[..., :width], other[..., :width]), name


def test_draws_do_not_depend_on_what_is_asked_together(world, tmp_path):
    world.capture(tmp_path / "together")
    world.capture(tmp_path / "apart", shard_tokens=64)
    batch = world.padded.batch(range(len(world.padded)))
    a, b = (stored(tmp_path / name).answer(batch, DISTRIBUTION).topk for name in ("together", "apart"))
    loss_mask = batch.loss_mask
    is_drawn = (a.drawn_ids[loss_mask] >= 0).any(-1)
    assert is_drawn.any()
    # In other batches the teacher rounds otherwise, which moves a draw at a border of two ids.
    same = (
        a.drawn_ids[loss_mask][is_drawn].sort().values == b.drawn_ids[loss_mask][is_drawn].sort().values
    ).float()
    assert same.mean() > 0.99


def test_a_store_without_drawn_ids_has_no_column_for_them(world, tmp_path):
    world.capture(tmp_path / "bucket", payload="bucket")
    world.capture(tmp_path / "topk")
    bucket, topk = (Signals(tmp_path / name) for name in ("bucket", "topk"))
    assert bucket.payload.topk.draws == 0 and topk.payload.topk.draws == 16
    assert bucket.payload.for_store() == PAYLOADS["bucket"] | {
        "topk": PAYLOADS["bucket"]["topk"] | {"quantisation": 1e-4}
    }
    batch = world.padded.batch(range(4))
    found = bucket.topk(batch)
    assert found.drawn_ids is None
    table = pa.ipc.open_file(pa.memory_map(str(next((tmp_path / "bucket").glob("shard-*"))))).read_all()
    assert "draws" not in table.column_names
    # The kept ids of the other store are the likeliest of this one.
    kept = topk.topk(batch)
    width = min(kept.ids.shape[-1], found.ids.shape[-1])
    is_kept = batch.loss_mask[..., None] & (kept.ids[..., :width] >= 0)
    assert torch.equal(kept.ids[..., :width][is_kept], found.ids[..., :width][is_kept])


def test_a_batch_is_answered_alike_in_any_order(stores):
    world, folder = stores
    teacher = stored(folder / "topk")
    forth, back = ([5, 2, 9], [9, 5, 2])
    first, second = (world.padded.batch(order) for order in (forth, back))
    a, b = (teacher.answer(batch, DISTRIBUTION).topk for batch in (first, second))
    assert torch.equal(a.ids[[2, 0, 1]], b.ids)
    assert torch.equal(a.log_probs[[2, 0, 1]], b.log_probs)


@pytest.mark.parametrize(("dtype", "error"), [("bfloat16", 2**-8), ("int8", 1 / 254)])
def test_rounded_hidden_states_are_as_near_as_they_say(world, tmp_path, dtype, error):
    world.capture(tmp_path, payload={"hidden": {"dtype": dtype}})
    batch = world.padded.batch(range(8))
    live = world.teacher.answer(batch, DISTRIBUTION).hidden[batch.loss_mask]
    found = stored(tmp_path).answer(batch, DISTRIBUTION).hidden[batch.loss_mask].float()
    scale = live.abs() if dtype == "bfloat16" else live.abs().amax(-1, keepdim=True)
    assert ((found - live).abs() <= error * scale + 1e-4).all()


def test_a_stored_head_is_cut_to_the_shared_vocabulary(stores):
    world, folder = stores
    batch = world.padded.batch([0])
    answer = StoredTeacher(Signals(folder / "hidden"), 300).answer(batch, DISTRIBUTION)
    assert answer.head.weight.shape[0] == 300


def test_shards_are_read_by_pyarrow_and_by_datasets(stores, tmp_path):
    world, folder = stores
    names = sorted(str(path) for path in (folder / "topk").glob("shard-*.arrow"))
    tables = pa.concat_tables([pa.ipc.open_file(pa.memory_map(name)).read_all() for name in names])
    assert sorted(tables["row_id"].to_pylist(), key=int) == [str(n) for n in range(len(world.padded))]
    assert tables["tokens"].to_pylist() == [
        world.padded.lengths[int(n)] for n in tables["row_id"].to_pylist()
    ]
    rows = load_dataset("arrow", data_files=names, split="train", cache_dir=str(tmp_path))
    assert rows["row_id"] == tables["row_id"].to_pylist()
    assert rows[0]["codes"] == tables["codes"][0].as_py()


def test_inner_layers_are_refused(stores):
    world, folder = stores
    batch = world.padded.batch([0])
    with pytest.raises(StoreError, match="must be asked for its distribution alone, got inner layers"):
        stored(folder / "topk").answer(batch, DISTRIBUTION | at("states", -1))


def test_rows_that_were_not_captured_are_refused_by_name(stores):
    world, folder = stores
    batch = world.padded.batch([3])
    with pytest.raises(StoreError, match="got row unheard-of, which is not in it"):
        stored(folder / "topk").answer(replace(batch, row_ids=[["unheard-of"]]), DISTRIBUTION)
    ids = batch.inputs["input_ids"].clone()
    ids[0, 0] += 1
    changed = replace(batch, inputs={**batch.inputs, "input_ids": ids})
    with pytest.raises(StoreError, match="got row 3, which has other tokens there"):
        stored(folder / "topk").answer(changed, DISTRIBUTION)


def test_positions_that_were_not_kept_are_refused(tmp_path):
    world = World(kind="answers")
    world.capture(tmp_path)
    batch = world.padded.batch([4])
    everything = batch.inputs["input_ids"]
    with pytest.raises(StoreError, match="every position that is learnt from, got rows with others \\(4\\)"):
        stored(tmp_path).answer(replace(batch, targets=everything), DISTRIBUTION)
