"""Prompts, tasks, completions and speed."""

import json

import pytest

from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.evaluate import evaluate
from limbeck.evaluation.generation import repetition
from limbeck.evaluation.prompts import held_out_prompts
from limbeck.evaluation.statistics import Rows
from limbeck.evaluation.tasks import exact_match, python_syntax, statements
from tests.evaluation.tiny import Texts, causal, rows_of, settings, subject, texts


def evidence(source, **changes):
    rows = {row["id"]: row for row in rows_of(source)}
    return EvaluationData([], source, rows, settings("causal", "generation", **changes))


def test_a_row_with_a_prompt_is_cut_before_its_first_learnt_token():
    source = Texts([[5, 6, 7, 8, 9]], prompt=3)
    (prompt,) = held_out_prompts(evidence(source))
    assert (prompt.ids, prompt.reference) == ([5, 6, 7], [8, 9])


def test_plain_text_is_cut_after_the_prompt_tokens_or_in_the_middle():
    source = Texts([list(range(2, 12))])
    (long,) = held_out_prompts(evidence(source, prompt_tokens=4))
    assert (long.ids, long.reference) == ([2, 3, 4, 5], [6, 7, 8, 9, 10, 11])
    (short,) = held_out_prompts(evidence(source, prompt_tokens=64))
    assert (short.ids, short.reference) == ([2, 3, 4, 5, 6], [7, 8, 9, 10, 11])


def test_one_window_of_a_long_text_is_drawn_as_its_prompt():
    source = Texts(texts(4))
    source.ids = ["a", "a#1", "a#2", "a#3"]
    rows = {"a": {"id": "a", "text": "x"}}
    drawn = set()
    for seed in range(12):
        found = held_out_prompts(
            EvaluationData([], source, rows, settings("causal", "generation", seed=seed))
        )
        assert len(found) == 1
        drawn.add(found[0].row)
    assert drawn == {"a", "a#1", "a#2", "a#3"}


def test_later_windows_of_anything_but_text_are_no_prompts():
    source = Texts(texts(2))
    source.ids = ["a", "a#1"]
    found = held_out_prompts(EvaluationData([], source, {"a": {"id": "a"}}, settings("causal", "generation")))
    assert [prompt.row for prompt in found] == ["a"]


@pytest.mark.parametrize(
    ("completion", "stopped", "passes"),
    [
        ("    return 1\n", True, True),
        ("    return (1\n", True, False),  # it stopped there itself
        ("    return 1\n    y = (2,", False, True),  # the last line is not complete
        ("    y = 1\n    x = [1,\n", False, True),  # a bracket still open at the cut
        ("    if x:\n", False, True),  # a block still open at the cut
        ("    x = [1,\n", False, False),  # no statement is complete
        ("    return return\n    pass\n", False, False),
        ("  x = 1\n y = 2\n", False, False),
        ("    return 1", False, False),  # no complete line to judge
        ("\n\n", False, False),
        ("", True, False),
        ("#\n#\n# x = 1\n", False, False),  # comments alone
        ('    """Returns.\n\n    x = 1\n    """\n', True, False),  # a docstring alone
        ('    """Returns."""\n    return x\n', True, True),
        ("    pass\n    ...\n    42\n    'text'\n    word\n", True, False),
        ("    return\n", True, True),
        ("    return f'{x}'", True, True),
        ("    try:\n        y = g(x)\n", False, True),  # a block of which the rest is cut
    ],
)
def test_python_syntax_forgives_the_cut_and_nothing_else(completion, stopped, passes):
    assert python_syntax("def f(x):\n", completion, "", stopped) is passes


def test_text_inside_a_string_that_the_prompt_opened_is_no_statement():
    prompt = 'def f(x):\n    """Returns\n'
    assert not python_syntax(prompt, "    x = 1\n    y = 2\n", "", False)
    assert not python_syntax(prompt, '    x.\n    """\n', "", True)
    assert python_syntax(prompt, '    x.\n    """\n    return x\n', "", True)


def test_what_the_prompt_began_is_not_the_models_statement():
    assert statements("x = ", "1\ny = f(2)\ny = f(2)\n") == {"y = f ( 2 )"}
    assert not python_syntax("x = ", "1\n", "", True)


def test_exact_match_ignores_white_space_around():
    assert exact_match("", " 42\n", "42", True) and not exact_match("", "42.", "42", True)


def test_completions_are_counted_compared_and_shown_side_by_side():
    source = Texts(texts(6), prompt=3)
    subjects = [subject("teacher", causal(0)), subject("student", causal(1)), subject("baseline", causal(1))]
    result = evaluate(
        subjects, source=source, rows=rows_of(source),
        settings=settings(
            "causal", "generation", task="exact_match", max_new_tokens=5, n_samples=2, prompts=4
        ),
    )  # fmt: skip
    found = json.loads(json.dumps(result, allow_nan=False))["metrics"]["generation"]
    assert found["prompts"] == 4 and len(found["samples"]) == 2
    sample = found["samples"][0]
    assert set(sample["texts"]) == {"teacher", "student", "baseline"}
    assert sample["texts"]["student"] == sample["texts"]["baseline"]
    assert found["subjects"]["student"]["length"]["value"] <= 5
    assert found["subjects"]["student"]["task"]["n"] == 4
    assert found["comparisons"][0]["verdict"] == "undecided"


def test_repetition_is_the_share_of_sequences_that_stand_before():
    # 1 2 1 2 1 2 1 holds 1212, 2121, 1212, 2121: half of them stand before. 1 2 3 4 5: none of two.
    rows = Rows(range(3), resamples=100, seed=0)
    found = repetition(rows, [[1, 2, 1, 2, 1, 2, 1], [1, 2, 3, 4, 5], [1, 2]])
    assert (found["value"], found["n"], found["rows"]) == (pytest.approx(2 / 6), 6, 2)


def test_speed_counts_parameters_and_tokens(tmp_path):
    source = Texts(texts(4))
    model = causal(0)
    model.save_pretrained(tmp_path)
    one = subject("student", model)
    one = type(one)(**{**vars(one), "folder": tmp_path})
    result = evaluate([one], source=source, rows=rows_of(source), settings=settings("causal", "speed"))
    found = result["metrics"]["speed"]["subjects"]["student"]
    assert found["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert found["memory_bytes"] == 4 * found["parameters"]
    assert found["disk_bytes"] == (tmp_path / "model.safetensors").stat().st_size
    for name in ("forward_tokens_per_second", "generated_tokens_per_second"):
        assert 0 < found[name]["low"] <= found[name]["value"] <= found[name]["high"]


def test_final_answers_and_texts_are_held_against_the_teachers():
    source = Texts(texts(6), prompt=3)
    subjects = [subject("teacher", causal(0)), subject("student", causal(0)), subject("baseline", causal(1))]
    result = evaluate(
        subjects, source=source, rows=rows_of(source),
        settings=settings("causal", "generation", "fidelity", task="final_answer", max_new_tokens=12),
    )  # fmt: skip
    found = json.loads(json.dumps(result, allow_nan=False))
    written = found["metrics"]["generation"]["subjects"]
    # Letters hold no number: the teacher gives no answer, so there is nothing to agree on.
    assert written["student"]["answer_agreement"]["value"] is None
    assert "rationale_bleu" not in written["teacher"]
    by_row = found["by_row"]
    assert set(by_row["task"]["student"]) == set(source.ids)
    # The student is the teacher: it agrees on every row.
    assert set(by_row["top1_agreement"]["student"].values()) == {1.0}
    assert set(by_row["top1_agreement"]["baseline"]) == set(source.ids)


def test_a_fingerprint_tells_other_rows_from_the_same_in_another_order():
    source = Texts(texts(4), prompt=2)
    rows = rows_of(source, text=["a", "b", "c", "d"])
    made = [
        evaluate(
            [subject("student", causal(0))], source=source, rows=given,
            settings=settings("causal", "perplexity"),
        )
        for given in (rows, rows[::-1], rows_of(source, text=["a", "b", "c", "e"]))
    ]  # fmt: skip
    prints = [one["data"]["fingerprint"] for one in made]
    assert prints[0] == prints[1] != prints[2]
    assert made[0]["data"]["scored"] == made[1]["data"]["scored"]
    overall = made[0]["metrics"]["perplexity"]["subjects"]["student"]["bits_per_byte"]["value"]
    by_row = made[0]["by_row"]["bits_per_byte"]["student"]
    sizes = [2 * (len(row) - 2) for row in source.rows]  # two bytes a letter
    mean = sum(by_row[name] * size for name, size in zip(source.ids, sizes, strict=True)) / sum(sizes)
    assert mean == pytest.approx(overall)
