"""Comparisons and watched values on the page."""

import json
import math

import pytest

from limbeck.evaluation.comparison import Axes, Question, compare
from limbeck.report.build import build_report
from limbeck.report.comparison import comparison_section, lead
from limbeck.report.validation import validation_figures, validation_verdicts
from limbeck.runs.record.curves import write_validation
from tests.report.test_build import EVALUATION, estimate, parsed


def evaluation(bits, agreement, size, *, rows=("a", "b", "c")):
    return {
        "data": {"rows": len(rows), "fingerprint": "same"},
        "subjects": [
            {"name": "teacher", "role": "teacher", "description": str(size), "parameters": size},
            {"name": "student", "role": "student", "description": "", "parameters": 1_000_000},
        ],
        "metrics": {
            "perplexity": {
                "subjects": {"student": {"bits_per_byte": estimate(bits, bits - 0.1, bits + 0.1)}}
            },
            "fidelity": {"subjects": {"student": {"overall": {"top1_agreement": estimate(agreement)}}}},
        },
        "by_row": {
            "bits_per_byte": {"student": {row: bits + place for place, row in enumerate(rows)}}
        },
    }  # fmt: skip


@pytest.fixture
def comparison():
    found = {
        "from_small": evaluation(2.0, 0.30, 2_000_000),
        "from_large": evaluation(1.9, 0.35, 8_000_000),
        "from_huge": evaluation(1.95, 0.25, 32_000_000),
    }
    by = {"from_small": {"kind": "cut"}, "from_large": {"kind": "cut"}, "from_huge": {"kind": "whole"}}
    return compare(
        found,
        by=by,
        figures=[Axes("teacher_parameters", "bits_per_byte"), Axes("kind", "top1_agreement"),
                 Axes("bits_per_byte", "top1_agreement", "kind")],
        questions=[Question("spearman", "bits_per_byte", x="teacher_parameters"),
                   Question("anova", "bits_per_byte", factor="kind"),
                   Question("paired_t", "bits_per_byte", against="from_large")],
    )  # fmt: skip


def test_the_lead_names_the_best_student_by_each_leading_measure(comparison):
    assert lead(comparison) == (
        "3 students were compared on the same 3 held-out rows; lowest bits per byte: `from_large`, 1.90 "
        "(1.80 to 2.00)."
    )


def test_agreement_makes_nobody_the_best_among_students_of_several_teachers(comparison):
    lines = comparison_section(comparison)["lines"]
    assert not any(line.cells[1].best for line in lines)
    one = comparison | {"models": [model for model in comparison["models"] if model["role"] == "student"]}
    assert lead(one).endswith("highest top-1 agreement with the teacher: `from_large`, 35.0 %.")
    best = [line.name for line in comparison_section(one)["lines"] if line.cells[1].best]
    assert best == ["from_large"]


def test_the_table_has_a_line_a_model_and_marks_the_best_student(comparison):
    section = comparison_section(comparison)
    assert section["columns"] == [
        "Bits per byte ↓", "Top-1 agreement with the teacher ↑", "Parameters",
        "Parameters of the teacher", "Kind",
    ]  # fmt: skip
    lines = {(line.name, line.role): line for line in section["lines"]}
    assert set(lines) == {
        *((name, "") for name in ("from_small", "from_large", "from_huge")),
        *(("teacher", f"of from_{name}") for name in ("small", "large", "huge")),
    }
    best = {(name, role) for (name, role), line in lines.items() if line.cells[0].best}
    assert best == {("from_large", "")}
    assert [cell.text for cell in lines["from_large", ""].cells] == ["1.90", "35.0 %", "1 M", "8 M", "cut"]


def test_tests_are_said_in_words(comparison):
    section = comparison_section(comparison)
    # Sizes 1, 2, 3 against ranks 3, 1, 2: 1 - 6 * (4 + 1 + 1) / 24.
    assert section["findings"][0].startswith(
        "Bits per byte and parameters of the teacher: Spearman −0.500, p ="
    )
    assert "its levels cannot be told apart" in section["findings"][1]
    paired = section["paired"][0]
    assert (paired["against"], [row["name"] for row in paired["rows"]]) == (
        "from_large",
        ["from_small", "from_huge"],
    )
    # Every row differs by the same 0.1: no scatter, no p.
    assert (paired["rows"][0]["difference"], paired["rows"][0]["p"]) == ("+0.100", "–")


def test_the_page_shows_the_comparison_first(comparison, tmp_path):
    (tmp_path / "comparison.json").write_text(json.dumps(comparison))
    (tmp_path / "evaluation.json").write_text(json.dumps(EVALUATION))
    page = build_report(tmp_path).read_text()
    parser = parsed(page)
    assert parser.headings[:2] == ["Comparison", "What was done"]
    assert page.count("<svg") == 3 + 3
    assert all(address.startswith("#") for address in parser.addresses)
    assert "from_<wbr>large" in page


def watched(tmp_path, golden):
    lines = [
        {"phase": "student", "step": t, "loss": 1.0}
        | (
            {"validation": {"proxy": t**-0.7, "golden": golden(t), "validation_loss": 1 / t}}
            if t % 10 == 0
            else {}
        )
        for t in range(1, 501)
    ]  # fmt: skip
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    write_validation(tmp_path, metrics)
    return json.loads((tmp_path / "validation.json").read_text())


def test_watched_values_are_collected_judged_and_drawn(tmp_path):
    found = watched(tmp_path, lambda t: math.exp(-t / 50) + 0.1 + t / 1000)
    assert found["student"]["curves"]["proxy"][:2] == [[10, 10**-0.7], [20, 20**-0.7]]
    assert found["student"]["hacking"]["verdict"] == "hacking"
    first, second = validation_figures(found)
    assert (
        "the oracle while it stays with its teacher" in first["caption"]
        and "to the power −0.70" in first["caption"]
    )
    assert second["caption"] == "student: validation loss 0.100 at step 10, 0.002 at step 500."
    assert validation_verdicts(found)[0]["verdict"] == "worse"
    sound = watched(tmp_path, lambda t: t**-0.5)
    assert validation_verdicts(sound) == [
        {"text": "student: No sign of teacher hacking.", "verdict": "better"}
    ]


def test_nothing_is_written_where_nothing_was_watched(tmp_path):
    metrics = tmp_path / "metrics.jsonl"
    metrics.write_text(json.dumps({"phase": "student", "step": 1, "loss": 1.0}) + "\n")
    write_validation(tmp_path, metrics)
    assert not (tmp_path / "validation.json").exists()
