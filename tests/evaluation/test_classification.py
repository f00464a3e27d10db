"""Classifiers and their loyalty, and sentence embeddings, against scipy and scikit-learn."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score

from limbeck.evaluation.evaluate import evaluate
from tests.evaluation.tiny import Examples, Texts, bert, rows_of, settings, subject, texts


def probabilities(model, source):
    model.eval()
    with torch.no_grad():
        parts = [model(**source.batch([index]).inputs).logits[0].softmax(-1) for index in range(len(source))]
    return torch.stack(parts).double().numpy()


def classified(source, models, **changes):
    result = evaluate(
        [subject(name, model, vocabulary=None) for name, model in models.items()],
        source=source, rows=rows_of(source), settings=settings("classifier", "classification", **changes),
    )  # fmt: skip
    return json.loads(json.dumps(result, allow_nan=False))["metrics"]["classification"]["subjects"]


def test_accuracy_f1_and_loyalty_are_those_of_the_libraries():
    source = Examples(texts(40), [place % 3 for place in range(40)])
    models = {"teacher": bert(0, classes=3), "student": bert(1, classes=3)}
    found = classified(source, models, label_names=("a", "b", "c"))
    p, q = (probabilities(model, source) for model in models.values())
    truth, said = np.array(source.labels), q.argmax(1)
    student = found["student"]
    expected = {
        "accuracy": (truth == said).mean(),
        "macro_f1": f1_score(truth, said, average="macro", labels=[0, 1, 2], zero_division=0),
        "label_loyalty": (p.argmax(1) == said).mean(),
        "probability_loyalty": 1 - jensenshannon(p, q, base=2, axis=1).mean(),
        "forward_kl": (p * np.log(p / q)).sum(1).mean(),
    }
    for name, value in expected.items():
        assert student[name]["value"] == pytest.approx(value, abs=1e-5), name
        low, high = student[name]["interval"]
        assert low <= value + 1e-9 and value <= high + 1e-9
    assert [entry["class"] for entry in student["classes"]] == ["a", "b", "c"]
    assert "label_loyalty" not in found["teacher"]


def test_a_student_equal_to_its_teacher_is_wholly_loyal_even_without_labels():
    source = Examples(texts(8), [-100] * 8)
    found = classified(source, {"teacher": bert(0, classes=3), "student": bert(0, classes=3)})["student"]
    assert found["label_loyalty"]["value"] == 1
    assert found["probability_loyalty"]["value"] == pytest.approx(1, abs=1e-6)
    assert "accuracy" not in found


def test_one_output_is_compared_by_correlation():
    source = Examples(texts(20), np.linspace(0, 1, 20).tolist())
    models = {"teacher": bert(0, classes=1), "student": bert(1, classes=1)}
    found = classified(source, models)["student"]
    outputs = []
    for model in models.values():
        model.eval()
        with torch.no_grad():
            outputs.append([model(**source.batch([index]).inputs).logits.item() for index in range(20)])
    assert found["regression_loyalty"]["value"] == pytest.approx(pearsonr(*outputs).statistic, abs=1e-5)
    assert found["pearson"]["value"] == pytest.approx(pearsonr(outputs[1], source.labels).statistic, abs=1e-5)


def pooled(model, source):
    model.eval()
    with torch.no_grad():
        return np.stack(
            [
                model(**source.batch([index]).inputs).last_hidden_state[0].mean(0)
                for index in range(len(source))
            ]
        )


def cosine(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def similar(source, rows, models):
    result = evaluate(
        [subject(name, model) for name, model in models.items()], source=source, rows=rows,
        settings=settings("encoder", "similarity"),
    )  # fmt: skip
    return json.loads(json.dumps(result, allow_nan=False))["metrics"]["similarity"]["subjects"]


def test_embeddings_are_means_over_tokens_and_scored_pairs_are_found_by_row():
    source = Texts(texts(20))
    source.ids = [f"p{place // 2}" + "#b" * (place % 2) for place in range(20)]
    scores = np.random.default_rng(0).random(10)
    rows = [{"id": f"p{place}", "score": scores[place]} for place in range(10)]
    models = {"teacher": bert(0), "student": bert(1)}
    found = similar(source, rows, models)
    theirs, mine = (pooled(model, source) for model in models.values())
    human = spearmanr(cosine(mine[::2], mine[1::2]), scores).statistic
    assert found["student"]["human"]["value"] == pytest.approx(human, abs=1e-6)
    assert found["student"]["human"]["n"] == 10
    assert found["student"]["cosine"]["value"] == pytest.approx(cosine(mine, theirs).mean(), abs=1e-5)
    assert "pair_order" not in found["teacher"]


def test_equal_encoders_order_pairs_equally_and_other_widths_have_no_cosine():
    source = Texts(texts(20))
    rows = rows_of(source)
    same = similar(source, rows, {"teacher": bert(0), "student": bert(0)})["student"]
    assert same["pair_order"]["value"] == pytest.approx(1) and same["cosine"]["value"] == pytest.approx(1)
    narrow = similar(source, rows, {"teacher": bert(0), "student": bert(0, hidden=8)})["student"]
    assert "cosine" not in narrow and -1 <= narrow["pair_order"]["value"] < 1
