"""Perplexity, fidelity and calibration of tiny models against the full logits."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from sklearn.metrics import accuracy_score

import limbeck.evaluation.data as evidence_module
from limbeck.core.batch import Batch
from limbeck.core.errors import ConfigError, VocabularyError
from limbeck.core.masks import IGNORE
from limbeck.evaluation.calibration import reliability
from limbeck.evaluation.divergence import divergence
from limbeck.evaluation.evaluate import evaluate
from limbeck.evaluation.statistics import Rows
from tests.evaluation.tiny import Texts, V, causal, rows_of, settings, subject, texts

TOKEN_METRICS = ("perplexity", "fidelity", "calibration")


def dense(model, source):
    """Log-probabilities [N, V] and targets [N] of all positions in the loss, row by row."""
    parts, targets = [], []
    model.eval()
    for index in range(len(source)):
        batch = source.batch([index])
        with torch.no_grad():
            logits = model(**batch.inputs).logits
        keep = batch.targets != IGNORE
        parts.append(logits[keep].double().log_softmax(-1))
        targets.append(batch.targets[keep])
    return torch.cat(parts).numpy(), torch.cat(targets).numpy()


@pytest.fixture(scope="module")
def compared():
    source = Texts(texts(12))
    models = {"teacher": causal(0), "student": causal(1, hidden=8), "baseline": causal(2, hidden=8)}
    rows = rows_of(source, domain=["verse", "prose"] * 6)
    result = evaluate(
        [subject(name, model) for name, model in models.items()][::-1],
        source=source, rows=rows, settings=settings("causal", *TOKEN_METRICS),
    )  # fmt: skip
    return source, models, json.loads(json.dumps(result, allow_nan=False))


def test_nats_and_bits_per_byte_are_those_of_the_full_softmax(compared):
    source, models, result = compared
    for name, model in models.items():
        log_probs, targets = dense(model, source)
        nats = -log_probs[np.arange(len(targets)), targets]
        found = result["metrics"]["perplexity"]["subjects"][name]
        assert found["nats_per_token"]["value"] == pytest.approx(nats.mean(), abs=1e-5)
        assert found["nats_per_token"]["n"] == len(targets)
        # Every letter of the tests' alphabet takes two bytes.
        bits = nats.sum() / math.log(2) / (2 * len(targets))
        assert found["bits_per_byte"]["value"] == pytest.approx(bits, abs=1e-5)
        low, high = found["bits_per_byte"]["interval"]
        assert low < bits < high


def test_fidelity_is_that_of_the_full_softmax(compared):
    source, models, result = compared
    p, _ = dense(models["teacher"], source)
    for name in ("student", "baseline"):
        q, _ = dense(models[name], source)
        overall = result["metrics"]["fidelity"]["subjects"][name]["overall"]
        expected = {
            "top1_agreement": accuracy_score(p.argmax(1), q.argmax(1)),
            "forward_kl": (np.exp(p) * (p - q)).sum(1).mean(),
            "reverse_kl": (np.exp(q) * (q - p)).sum(1).mean(),
            "js_distance": jensenshannon(np.exp(p), np.exp(q), base=2, axis=1).mean(),
            "top5_overlap": np.mean(
                [len({*a[:5]} & {*b[:5]}) / 5 for a, b in zip((-p).argsort(1), (-q).argsort(1), strict=True)]
            ),
        }
        for measure, value in expected.items():
            assert overall[measure]["value"] == pytest.approx(value, abs=2e-5), measure


def test_slices_split_the_positions_and_their_means_add_up(compared):
    _, _, result = compared
    measured = result["metrics"]["fidelity"]["subjects"]["student"]
    assert set(measured["slices"]) == {"position", "teacher_entropy", "row_length", "domain"}
    for entries in measured["slices"].values():
        n = sum(entry["forward_kl"]["n"] for entry in entries)
        total = sum(entry["forward_kl"]["value"] * entry["forward_kl"]["n"] for entry in entries)
        assert n == measured["overall"]["forward_kl"]["n"]
        assert total / n == pytest.approx(measured["overall"]["forward_kl"]["value"])
    assert [entry["slice"] for entry in measured["slices"]["domain"]] == ["prose", "verse"]
    assert [entry["slice"] for entry in measured["slices"]["position"]] == ["0 to 15", "16 to 63"]


def test_agreement_where_the_teacher_is_right_and_wrong(compared):
    source, models, result = compared
    (p, targets), (q, _) = (dense(models[name], source) for name in ("teacher", "student"))
    right, same = p.argmax(1) == targets, p.argmax(1) == q.argmax(1)
    measured = result["metrics"]["fidelity"]["subjects"]["student"]
    for key, where in (("right", right), ("wrong", ~right)):
        found = measured[f"top1_agreement_where_teacher_is_{key}"]
        assert found["n"] == where.sum() and found["value"] == pytest.approx(same[where].mean())


def test_a_student_equal_to_its_teacher_keeps_everything():
    source = Texts(texts())
    twins = [subject("teacher", causal(0)), subject("student", causal(0))]
    result = evaluate(twins, source=source, rows=rows_of(source), settings=settings("causal", "fidelity"))
    overall = result["metrics"]["fidelity"]["subjects"]["student"]["overall"]
    assert overall["top1_agreement"]["value"] == overall["top5_overlap"]["value"] == 1
    assert max(overall[name]["value"] for name in ("forward_kl", "reverse_kl", "js_distance")) < 1e-6


def test_the_size_of_chunks_and_batches_and_a_head_that_is_not_split_off_change_nothing(
    compared, monkeypatch
):
    source, models, result = compared
    monkeypatch.setattr(evidence_module, "_CHUNK_POSITIONS", 3)
    monkeypatch.setattr(evidence_module, "_CHUNK_ELEMENTS", 1)
    subjects = [subject(name, model) for name, model in models.items()]
    for one in subjects:
        one.reader.probe = lambda: None  # as if head(hidden) were not the model's logits
    again = evaluate(
        subjects,
        source=source,
        rows=rows_of(source),
        settings=settings("causal", *TOKEN_METRICS, batch_size=1),
    )
    for name in ("student", "baseline"):
        one, two = (found["metrics"]["fidelity"]["subjects"][name]["overall"] for found in (result, again))
        for measure in one:
            assert one[measure]["value"] == pytest.approx(two[measure]["value"], abs=1e-5)


def test_packed_rows_are_told_apart_by_their_positions():
    rows = texts(2, low=6, high=8)
    one, two = (torch.tensor(row) for row in rows)

    class Packed:
        def __len__(self):
            return 1

        def batch(self, indices):
            ids = torch.cat([one, two, torch.zeros(2, dtype=torch.long)])[None]
            places = torch.cat(
                [torch.arange(len(one)), torch.arange(len(two)), torch.zeros(2, dtype=torch.long)]
            )
            targets = torch.full_like(ids, IGNORE)
            targets[0, : len(one) - 1] = one[1:]
            targets[0, len(one) : len(one) + len(two) - 1] = two[1:]
            return Batch({"input_ids": ids, "position_ids": places[None]}, targets, [["r0", "r1"]])

    chosen = settings("causal", "perplexity", "fidelity")
    subjects = [subject("teacher", causal(0)), subject("student", causal(1))]
    padded = Texts(rows)
    expected = evaluate(subjects, source=padded, rows=rows_of(padded), settings=chosen)
    found = evaluate(subjects, source=Packed(), rows=rows_of(padded), settings=chosen)
    assert found["data"] == expected["data"]
    for name in ("teacher", "student"):
        one, two = (each["metrics"]["perplexity"]["subjects"][name] for each in (found, expected))
        assert one["nats_per_token"]["value"] == pytest.approx(two["nats_per_token"]["value"], abs=1e-5)


def test_windows_of_a_long_text_are_one_row():
    source = Texts(texts(4))
    source.ids = ["a", "a#1", "b", "b#1"]
    result = evaluate(
        [subject("student", causal(0))], source=source, rows=[{"id": "a"}, {"id": "b"}],
        settings=settings("causal", "perplexity"),
    )  # fmt: skip
    assert result["metrics"]["perplexity"]["subjects"]["student"]["nats_per_token"]["rows"] == 2


def test_a_cap_stops_the_reading_and_says_so():
    source = Texts(texts(40))
    result = evaluate(
        [subject("student", causal(0))], source=source, rows=rows_of(source),
        settings=settings("causal", "perplexity", max_positions=20),
    )  # fmt: skip
    assert not result["data"]["complete"] and 20 <= result["data"]["units"] < 120


def test_the_calibration_error_by_hand():
    # Bins (.8667, .9333] with .9, .9 (one right) and (.5333, .6] with .6 (right): ECE = 2/3 * .4 + 1/3 * .4.
    rows = Rows([0, 1, 2], resamples=100, seed=0)
    found = reliability(
        rows, np.array([0.9, 0.9, 0.6]), np.array([True, False, True]), np.array([True, True, True])
    )
    assert found["ece"]["value"] == pytest.approx(0.4)
    assert [(entry["n"], entry["accuracy"]) for entry in found["curve"]] == [(1, 1.0), (2, 0.5)]
    assert found["curve"][1]["confidence"] == pytest.approx(0.9)
    assert [entry["low"] for entry in found["curve"]] == [8 / 15, 13 / 15]


def test_full_confidence_falls_into_the_last_bin():
    found = reliability(Rows([0], resamples=10, seed=0), np.array([1.0]), np.array([True]), np.array([True]))
    assert found["ece"]["value"] == 0 and found["curve"][0]["high"] == 1


def test_divergences_by_hand():
    # Teacher (3/4, 1/4), student (1/2, 1/2); disjoint distributions are at distance 1 in base 2.
    p, q = torch.tensor([[0.75, 0.25]]).log(), torch.tensor([[0.5, 0.5]]).log()
    found = divergence(q, p)
    assert found.forward_kl.item() == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5), abs=1e-6)
    assert found.reverse_kl.item() == pytest.approx(0.5 * math.log(2 / 3) + 0.5 * math.log(2), abs=1e-6)
    apart = divergence(torch.tensor([[0.0, -100.0]]), torch.tensor([[-100.0, 0.0]]))
    assert apart.js_distance.item() == pytest.approx(1.0, abs=1e-5)


def test_models_are_left_in_the_mode_they_came_in(compared):
    model = causal(0).train()
    source = Texts(texts(2))
    evaluate(
        [subject("student", model)],
        source=source,
        rows=rows_of(source),
        settings=settings("causal", "perplexity"),
    )
    assert model.training


def test_outcomes_that_differ_are_refused():
    source = Texts(texts(2))
    subjects = [subject("teacher", causal(0)), subject("student", causal(1), vocabulary=V - 1)]
    with pytest.raises(VocabularyError, match=f"got {V} and {V - 1}"):
        evaluate(subjects, source=source, rows=rows_of(source), settings=settings("causal", "fidelity"))


def test_everything_wrong_is_said_at_once():
    model = causal(0)
    with pytest.raises(ConfigError) as caught:
        evaluate(
            [subject("teacher", model), subject("teacher", model)],
            source=Texts(texts(1)), rows=[{"id": "r0"}],
            settings=settings("causal", "perplexty", "similarity"),
        )  # fmt: skip
    message = str(caught.value)
    assert "names must all be different" in message and "at most one must be the teacher" in message
    assert "Did you mean 'perplexity'?" in message and "got similarity" in message


def test_fidelity_without_a_teacher_is_refused():
    source = Texts(texts(1))
    with pytest.raises(ConfigError, match="fidelity must have a teacher"):
        evaluate(
            [subject("student", causal(0))], source=source, rows=rows_of(source),
            settings=settings("causal", "fidelity"),
        )  # fmt: skip
