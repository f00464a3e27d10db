"""What a real vLLM said of rows becomes the store that the model itself would have given."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from limbeck.assets import asset_path
from limbeck.core.asking import Candidate, TokenScores
from limbeck.core.errors import StoreError
from limbeck.core.masks import IGNORE
from limbeck.core.needs import DISTRIBUTION
from limbeck.rows.source import PaddedSource
from limbeck.signals.capture import capture
from limbeck.signals.filling import fill
from limbeck.signals.gaps import dense_gap, told_gap
from limbeck.signals.manifest import Identity, Manifest
from limbeck.signals.reader import Signals
from limbeck.signals.served import Served, top_of_scores
from limbeck.signals.support import Top, support_of
from limbeck.teachers import LocalTeacher
from tests.signals.recorded.record import MOST, RENDERING, rendered
from tests.signals.replayed import VOCABULARY, recorded_rows, replies, score_all, with_candidates

IDENTITY = Identity(
    version=1,
    teacher="served",
    weights="w",
    tokenizer="t",
    template="c",
    data="d",
    rendering={"max_length": RENDERING.max_length},
    payload={"topk": {"mass": 0.999, "max": MOST, "quantisation": 1e-5}},
    vocabulary=VOCABULARY,
    shard_tokens=40,
)
FLOAT32 = 1e-4  # nats: one program's rounding against another's


@cache
def source() -> PaddedSource:
    tokenizer = AutoTokenizer.from_pretrained(asset_path("code_teacher"))
    return PaddedSource(rendered(), RENDERING, int(tokenizer.pad_token_id))


@cache
def model():
    return AutoModelForCausalLM.from_pretrained(asset_path("code_teacher")).eval()


def log_probs(ids):
    """[T - 1, V] of the model itself, in transformers."""
    with torch.no_grad():
        logits = model()(torch.tensor([ids])).logits[0, :-1]
    return logits.double().log_softmax(-1).numpy()


def all_but_last(ids):
    return np.arange(len(ids)) < len(ids) - 1


def top_of(scores, ids, *, most=MOST, vocabulary=VOCABULARY):
    return top_of_scores(scores, ids, all_but_last(ids), most=most, vocabulary=vocabulary)


def changed(scores, **fields):
    return with_candidates(scores, lambda _, one: replace(one, **fields))


def scored(*log_probs, chosen=0):
    """One position whose ids 0, 1, ... have these log-probabilities."""
    top = tuple(Candidate(b"", value, index) for index, value in enumerate(log_probs))
    return TokenScores(Candidate(b"", log_probs[0], chosen), top)


def test_scores_of_a_row_are_the_models_own_at_the_output_before_each_token():
    for ids in recorded_rows():
        found = top_of(replies()[tuple(ids)].prompt_scores, ids)
        expected = log_probs(ids)
        likeliest = np.sort(expected, axis=1)[:, ::-1][:, :MOST]
        np.testing.assert_allclose(found.log_probs, likeliest, atol=FLOAT32)
        told = np.take_along_axis(expected, found.ids.astype(int), 1)
        np.testing.assert_allclose(told, likeliest, atol=FLOAT32)


def test_a_served_store_says_what_a_local_one_says(tmp_path):
    rows, lengths = source(), source().lengths
    served = Served(score_all, rows.batch, most=MOST)
    fill(tmp_path / "served", IDENTITY, tokens=lengths, asked=served)
    teacher = LocalTeacher(model(), VOCABULARY)
    capture(
        tmp_path / "local", IDENTITY, tokens=lengths, batch_of=rows.batch, batch_tokens=256,
        answer=lambda batch: teacher.answer(batch, DISTRIBUTION),
    )  # fmt: skip
    for row in range(len(rows)):
        batch = rows.batch([row])
        one, other = (Signals(tmp_path / name).topk(batch) for name in ("served", "local"))
        torch.testing.assert_close(one.ids, other.ids)
        # Both are rounded to a ladder of levels: a hair's difference may be a level's.
        torch.testing.assert_close(one.log_probs, other.log_probs, atol=0.07, rtol=0)
        torch.testing.assert_close(one.log_tail, other.log_tail, atol=0.2, rtol=0)


def test_an_interrupted_capture_ends_in_the_same_bytes_and_asks_for_no_finished_shard(tmp_path):
    asked = []

    def counting(rows):
        for row in rows:
            asked.append(row.id)
            yield from score_all([row])

    served = Served(counting, source().batch, most=MOST)
    fill(tmp_path, IDENTITY, tokens=source().lengths, asked=served)
    whole = {path.name: path.read_bytes() for path in tmp_path.glob("*.arrow")}
    assert len(asked) == len(recorded_rows())
    last = max(name for name in whole if name.startswith("shard"))
    (tmp_path / last).unlink()
    (tmp_path / "manifest.json").unlink()
    fill(tmp_path, IDENTITY, tokens=source().lengths, asked=served)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("*.arrow")} == whole
    assert len(asked) < 2 * len(recorded_rows())


def test_a_row_without_kept_outputs_is_in_the_store_and_not_asked_about():
    class Silenced:
        """Rows of which the second, and all of the last shard, learn nothing."""

        def batch(self, rows):
            batch = source().batch(rows)
            targets = batch.targets.clone()
            for line, row in enumerate(rows):
                targets[line][[row in (1, 2, 3)] * targets.shape[1]] = IGNORE
            return replace(batch, targets=targets)

    asked = []

    def counting(rows):
        for row in rows:
            asked.append(row.id)
            yield from score_all([row])

    shards = list(Served(counting, Silenced().batch, most=MOST).answers([[0, 1], [2, 3]]))
    assert asked == ["sum"]
    assert [[row.id for row in rows] for rows, _ in shards] == [["sum", "class"], ["import", "accents"]]
    assert [[len(part.ids) for part in parts] for _, parts in shards] == [
        [len(recorded_rows()[0]) - 1, 0],
        [0, 0],
    ]


def test_a_store_says_where_it_was_asked(tmp_path):
    served, origin = Served(score_all, source().batch, most=MOST), {"endpoint": "http://127.0.0.1:8000/v1"}
    fill(tmp_path, IDENTITY, tokens=source().lengths, asked=served, origin=lambda: origin)
    assert Manifest.read(tmp_path).origin == origin


def test_ids_that_the_tokenizer_does_not_have_go_into_the_tail():
    half, quarter = np.log(0.5), np.log(0.25)
    found = top_of([scored(quarter, half)], [7, 0], most=2, vocabulary=1)
    assert found.ids.tolist() == [[0, -1]]
    support = support_of(found, mass=0.999, vocabulary=1000)
    assert support.counts.tolist() == [1]
    assert np.exp(support.log_tails) == pytest.approx([0.75])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda scores: None, "log-probabilities of the prompt, got none"),
        (lambda scores: scores[3:], "prefix cache leaves some out.*--no-enable-prefix-caching"),
        (
            lambda scores: (replace(scores[0], chosen=Candidate(b"", -1.0, 9)), *scores[1:]),
            r"got id 9 in place of \d+ at position 1",
        ),
        (
            lambda scores: (*scores[:2], replace(scores[2], top=scores[2].top[:5]), *scores[3:]),
            "give 8 ids a position, got 5 at position 3.*--max-logprobs 8 or more, or set payload.topk.max=5",
        ),
        (lambda scores: changed(scores, token_id=None), "tell each token's id"),
        (lambda scores: changed(scores, logprob=0.4), "sum to at most 1, got .* gives logits"),
        (lambda scores: changed(scores, logprob=float("nan")), "must be numbers, got nan"),
    ],
)  # fmt: skip
def test_scores_that_would_be_learnt_wrong_are_refused(change, said):
    ids = recorded_rows()[0]
    with pytest.raises(StoreError, match=said):
        top_of(change(replies()[tuple(ids)].prompt_scores), ids)


def test_the_gap_of_a_told_distribution_is_the_kl_of_its_outcomes():
    # p = (1/2, 1/4, 1/4) told as (1/4, 1/4, rest 1/2), most likely first: 1/2 log 2 + 1/4 log 1 + 1/4 log 1/2
    told = Top(np.array([[0, 1]], np.int32), np.log([[0.25, 0.25]]).astype(np.float32))
    expected = 0.5 * np.log(2) + 0.25 * np.log(0.5)
    assert dense_gap(np.log([[0.5, 0.25, 0.25]]), told) == pytest.approx(expected, abs=1e-6)
    other = Top(np.array([[1, 0]], np.int32), np.log([[0.25, 0.5]]).astype(np.float32))
    assert told_gap(other, told) == pytest.approx(expected, abs=1e-6)


def test_an_id_that_one_of_two_does_not_tell_is_in_its_bucket():
    # p = (1/2, 1/4, rest 1/4) against (1/2 at id 0, 1/8 at id 5, rest 3/8): both have 1/2 outside of id 0.
    one = Top(np.array([[0, 1]], np.int32), np.log([[0.5, 0.25]]).astype(np.float32))
    other = Top(np.array([[0, 5]], np.int32), np.log([[0.5, 0.125]]).astype(np.float32))
    assert told_gap(one, other) == pytest.approx(0.0, abs=1e-6)
