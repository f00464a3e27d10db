"""Subjects of several tokenizers on the same rows: what compares, and what is left out."""

import math

import pytest
import torch
from datasets import Dataset

from limbeck.core.errors import ConfigError
from limbeck.core.forward_model import ForwardModel
from limbeck.evaluation.evaluate import evaluate
from limbeck.evaluation.settings import EvaluatedModel
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from limbeck.students import byte_tokenizer, retokenise
from tests.evaluation.tiny import settings
from tests.tiny import TEXTS, tiny_llama, tiny_tokenizer

METRICS = ("perplexity", "fidelity", "calibration", "generation", "speed")
ROWS = [{"id": f"r{place}", "text": f"{text} — né 🙂 {place}"} for place, text in enumerate(TEXTS * 3)]


def source_of(tokenizer, rows=ROWS, max_length=64):
    rendering = Rendering(model_kind="causal", max_length=max_length)
    return PaddedSource(
        render(Dataset.from_list(rows), tokenizer, rendering), rendering, tokenizer.pad_token_id
    )


def subject_of(name, model, tokenizer, source=None):
    return EvaluatedModel(
        name, name, model, tokenizer, ForwardModel(model).probe(), f"{name} of the tests", source=source
    )


def vocabulary_of(tokenizer):
    return 1 + max(tokenizer.get_vocab().values())


@pytest.fixture(scope="module")
def world():
    old, new = tiny_tokenizer(), byte_tokenizer()
    teacher = tiny_llama(vocab=vocabulary_of(old))
    return {"old": old, "new": new, "teacher": teacher, "student": retokenise(teacher, old, new, seed=0)}


def compared(world, *metrics, rows=ROWS, baseline=False, **changes):
    own = source_of(world["old"], rows)
    subjects = [
        subject_of("student", world["student"], world["new"]),
        subject_of("teacher", world["teacher"], world["old"], own),
    ]
    if baseline:
        subjects.append(
            subject_of("baseline", tiny_llama(vocab=vocabulary_of(world["old"]), seed=5), world["old"], own)
        )
    return evaluate(
        subjects,
        source=source_of(world["new"], rows),
        rows=rows,
        settings=settings("causal", *metrics, **changes),
    )


def nats(model, tokenizer, texts, *, opening, size=64):
    """Summed nats of texts and their ends, window by window of `size`, without limbeck."""
    total = 0.0
    for text in texts:
        ids = [*opening, *tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for start in range(0, max(len(ids) - 1, 1), size - 1):
            window = torch.tensor([ids[start : start + size]])
            with torch.no_grad():
                loss = torch.nn.functional.cross_entropy(
                    model(window).logits[0, :-1].double(), window[0, 1:], reduction="sum"
                )
            total += float(loss)
    return total


def test_bits_per_byte_of_each_are_those_of_its_own_tokens_over_the_text(world):
    found = compared(world, "perplexity")["metrics"]["perplexity"]["subjects"]
    texts = [row["text"] for row in ROWS]
    size = sum(len(text.encode()) for text in texts)
    bits = nats(world["student"], world["new"], texts, opening=[world["new"].bos_token_id]) / math.log(2)
    assert found["student"]["bytes"] == size  # the begin token comes first: every byte is predicted
    assert found["student"]["bits_per_byte"]["value"] == pytest.approx(bits / size, abs=1e-5)
    first = [world["old"](text)["input_ids"][0] for text in texts]
    without = size - sum(len(world["old"].decode([index]).encode()) for index in first)
    bits = nats(world["teacher"], world["old"], texts, opening=[]) / math.log(2)
    assert found["teacher"]["bytes"] == without
    assert found["teacher"]["bits_per_byte"]["value"] == pytest.approx(bits / without, abs=1e-5)
    assert "nats_per_token" in found["student"] and "nats_per_token" not in found["teacher"]


def test_windows_of_any_length_score_the_same_bytes(world):
    sizes = set()
    for length in (16, 33, 64):
        found = evaluate(
            [
                subject_of("student", world["student"], world["new"]),
                subject_of(
                    "teacher", world["teacher"], world["old"], source_of(world["old"], max_length=length)
                ),
            ],
            source=source_of(world["new"], max_length=length),
            rows=ROWS,
            settings=settings("causal", "perplexity"),
        )["metrics"]["perplexity"]["subjects"]
        sizes.add((found["student"]["bytes"], found["teacher"]["bytes"]))
    assert len(sizes) == 1


def test_a_teacher_with_other_tokens_agrees_with_nobody(world):
    result = compared(world, *METRICS, prompts=4, max_new_tokens=6)
    fidelity, calibration = (result["metrics"][name] for name in ("fidelity", "calibration"))
    assert fidelity["subjects"] == {} and "Left out: student" in fidelity["definition"]
    assert set(calibration["subjects"]) == {"student"} and "Left out: teacher" in calibration["definition"]
    assert set(result["metrics"]["speed"]["subjects"]) == {"student", "teacher"}
    assert [subject.get("own_tokens", False) for subject in result["subjects"]] == [True, False]


def test_those_who_share_the_teachers_tokens_are_held_against_it(world):
    result = compared(world, "fidelity", baseline=True)
    assert set(result["metrics"]["fidelity"]["subjects"]) == {"baseline"}
    assert result["metrics"]["fidelity"]["comparisons"] == []


def test_student_and_baseline_are_paired_by_row(world):
    result = compared(world, "perplexity", baseline=True)
    found, rows = result["metrics"]["perplexity"], result["by_row"]["bits_per_byte"]
    assert set(rows["student"]) == set(rows["baseline"]) == {row["id"] for row in ROWS}
    (entry,) = found["comparisons"]
    values = [found["subjects"][name]["bits_per_byte"]["value"] for name in ("student", "baseline")]
    assert entry["difference"]["value"] == pytest.approx(values[0] - values[1])
    low, high = entry["difference"]["interval"]
    assert low < entry["difference"]["value"] < high


def test_a_cap_reads_the_same_rows_whole_on_both_sides(world):
    result = compared(world, "perplexity", max_positions=150)
    rows = result["by_row"]["bits_per_byte"]
    assert set(rows["student"]) == set(rows["teacher"])
    assert 1 < len(rows["student"]) < len(ROWS) and not result["data"]["complete"]
    whole = compared(world, "perplexity")["by_row"]["bits_per_byte"]
    for name, values in rows.items():
        for row, value in values.items():
            assert value == pytest.approx(whole[name][row], abs=1e-6)


def test_everyone_continues_the_same_text(world):
    rows = [
        {"id": f"r{place}", "prompt": text[:12], "completion": text[12:]} for place, text in enumerate(TEXTS)
    ]
    for given in (ROWS, rows):
        result = compared(world, "generation", rows=given, prompts=3, prompt_tokens=8, max_new_tokens=6)
        generation = result["metrics"]["generation"]
        assert len(generation["samples"]) == 3
        for sample in generation["samples"]:
            ids = world["old"](sample["prompt"].rstrip("\ufffd"), return_tensors="pt")
            out = world["teacher"].generate(**ids, max_new_tokens=6, do_sample=False)[0]
            text = world["old"].decode(out, skip_special_tokens=True)
            assert sample["prompt"].rstrip("\ufffd") + sample["texts"]["teacher"] == text
        assert (
            "length" in generation["subjects"]["student"]
            and "length" not in generation["subjects"]["teacher"]
        )


def test_refuses_an_evaluation_in_which_nobody_reads_the_common_source(world):
    own = source_of(world["old"])
    with pytest.raises(ConfigError, match="must hold one that reads the common source"):
        evaluate(
            [subject_of("student", world["teacher"], world["old"], own)],
            source=own, rows=ROWS, settings=settings("causal", "perplexity"),
        )  # fmt: skip
