"""Loyalty to each teacher of an ensemble, beside the loyalty to their mean."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from limbeck.core.errors import ConfigError
from limbeck.core.needs import DISTRIBUTION
from limbeck.evaluation.evaluate import evaluate
from limbeck.teachers import EnsembleTeacher, LocalTeacher, Member
from tests.evaluation.tiny import Examples, Texts, bert, causal, rows_of, settings, subject, texts


def subjects(first, second, student, vocabulary):
    members = [Member(LocalTeacher(one, vocabulary), name) for one, name in ((first, "a"), (second, "b"))]
    teacher = subject("teacher", first, vocabulary=vocabulary)
    answer = partial(EnsembleTeacher(members).answer, needs=DISTRIBUTION)
    return [
        replace(teacher, model=torch.nn.ModuleList([first, second]), answer=answer),
        subject("a", first, "member", vocabulary),
        subject("b", second, "member", vocabulary),
        subject("student", student, "student", vocabulary),
    ]


def test_students_are_held_against_each_member_and_the_mean_of_their_probabilities():
    first, second, student = causal(1), causal(2, hidden=24), causal(3, layers=1)
    source = Texts(texts(3))
    asked = subjects(first, second, student, 30)
    result = evaluate(
        asked, source=source, rows=rows_of(source), settings=settings("causal", "perplexity", "fidelity")
    )
    batch = source.batch(range(3))
    kept = batch.targets != -100
    with torch.no_grad():
        p, q, s = (
            model(**batch.inputs).logits[kept].double().softmax(-1) for model in (first, second, student)
        )
    measured = result["metrics"]["fidelity"]["subjects"]["student"]
    for name, teacher in (("a", p), ("b", q)):
        found = measured["members"][name]
        kl = (teacher * (teacher / s).log()).sum(-1).mean()
        assert found["forward_kl"]["value"] == pytest.approx(float(kl), rel=1e-4)
        distance = np.mean([jensenshannon(one, other, base=2) for one, other in zip(teacher, s, strict=True)])
        assert found["js_distance"]["value"] == pytest.approx(distance, rel=1e-4)
        agreement = (teacher.argmax(-1) == s.argmax(-1)).double().mean()
        assert found["top1_agreement"]["value"] == pytest.approx(float(agreement))
    mean = (p + q) / 2
    kl = (mean * (mean / s).log()).sum(-1).mean()
    assert measured["overall"]["forward_kl"]["value"] == pytest.approx(float(kl), rel=1e-4)
    assert set(result["metrics"]["fidelity"]["subjects"]) == {"student"}
    assert set(result["metrics"]["perplexity"]["subjects"]) == {"teacher", "a", "b", "student"}


def test_classifiers_have_label_and_probability_loyalty_to_each_member():
    models = [bert(seed, classes=3) for seed in (1, 2, 3)]
    source = Examples(texts(8), [0, 1, 2, 0, 1, 2, 0, 1])
    result = evaluate(
        subjects(*models, None), source=source, rows=rows_of(source),
        settings=settings("classifier", "classification", label_names=("x", "y", "z")),
    )  # fmt: skip
    inputs = source.batch(range(8)).inputs
    with torch.no_grad():
        first, _, student = (model.eval()(**inputs).logits.double().softmax(-1) for model in models)
    found = result["metrics"]["classification"]["subjects"]["student"]["members"]["a"]
    same = (first.argmax(-1) == student.argmax(-1)).double().mean()
    assert found["label_loyalty"]["value"] == pytest.approx(float(same))
    distances = [jensenshannon(one, other, base=2) for one, other in zip(first, student, strict=True)]
    assert found["probability_loyalty"]["value"] == pytest.approx(1 - np.mean(distances), rel=1e-4)


def test_members_without_their_mean_are_refused():
    source = Texts(texts(2))
    with pytest.raises(ConfigError, match="members must come with the teacher they make"):
        evaluate(
            [subject("a", causal(1), "member"), subject("student", causal(2))], source=source,
            rows=rows_of(source), settings=settings("causal", "perplexity"),
        )  # fmt: skip
