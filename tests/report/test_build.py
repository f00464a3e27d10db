"""The page and the model card, from a run folder written by hand."""

import copy
import json
import re
from html.parser import HTMLParser

import pytest
import yaml

from limbeck.core.errors import RunFolderError
from limbeck.report.build import build_report
from limbeck.report.words import count, duration, number

VOID = {"meta", "path", "use", "br", "wbr", "line", "link"}


def estimate(value, low=None, high=None, n=50):
    return {"value": value, "n": n, "rows": 5, "interval": None if low is None else [low, high]}


def fidelity(agreement):
    entry = {"top1_agreement": estimate(agreement), "forward_kl": estimate(0.5), "reverse_kl": estimate(0.6)}
    return {
        "overall": {**entry, "js_distance": estimate(0.3), "top1_agreement": estimate(agreement, 0.5, 0.75)},
        "top1_agreement_where_teacher_is_right": estimate(0.9),
        "top1_agreement_where_teacher_is_wrong": estimate(0.2),
        "slices": {"position": [{"slice": "0 to 15", **entry}, {"slice": "16 and more", **entry}]},
    }


def comparison(measure, value, verdict):
    return {
        "measure": measure, "student": "student", "baseline": "baseline", "verdict": verdict,
        "difference": estimate(value, value - 0.01, value + 0.01),
    }  # fmt: skip


CURVE = [{"low": 0.8, "high": 0.9, "n": 40, "confidence": 0.85, "accuracy": 0.8}]
EVALUATION = {
    "format": "limbeck-evaluation",
    "version": 1,
    "kind": "causal",
    "data": {"rows": 7, "units": 1234, "rows_read": 7, "complete": True},
    "subjects": [
        {"name": "teacher", "role": "teacher", "description": "The large one.", "parameters": 4_000_000},
        {"name": "student", "role": "student", "description": "The small one.", "parameters": 1_000_000},
        {"name": "baseline", "role": "baseline", "description": "", "parameters": 1_000_000},
    ],
    "metrics": {
        "perplexity": {
            "definition": "Defined so.",
            "subjects": {
                name: {"bits_per_byte": estimate(value, value - 0.1, value + 0.1)}
                for name, value in (("teacher", 1.0), ("student", 1.25), ("baseline", 1.5))
            },
            "comparisons": [comparison("bits_per_byte", -0.25, "better")],
        },
        "fidelity": {
            "subjects": {"student": fidelity(0.625), "baseline": fidelity(0.6)},
            "comparisons": [comparison("top1_agreement", -0.025, "worse")],
        },
        "calibration": {"subjects": {"student": {"ece": estimate(0.05), "curve": CURVE}}},
        "generation": {
            "max_new_tokens": 9,
            "subjects": {},
            "samples": [
                {
                    "row": "r", "prompt": "<script>alert(1)</script>", "reference": "a & b",
                    "texts": {"student": "</pre>x"},
                }
            ],
        },
    },
}  # fmt: skip
LINE = {"step": 1, "of": 2, "phase": "student", "loss": 2.5, "tokens_per_second": 1500.0, "tokens": 640}


@pytest.fixture
def run(tmp_path):
    (tmp_path / "evaluation.json").write_text(json.dumps(EVALUATION))
    recipe = {
        "limbeck": 1,
        "name": "my run",
        "steps": [{"train": {"out": "student", "student": {"model": "m"}}}],
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (tmp_path / "versions.json").write_text(json.dumps({"torch": "2.13.0"}))
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(LINE | {"step": at}) + "\n" for at in (1, 2)))
    done = tmp_path / "steps" / "0-train-student" / "done.json"
    done.parent.mkdir(parents=True)
    done.write_text(
        json.dumps(
            {
                "kind": "train",
                "out": "student",
                "seconds": 72,
                "notes": ["Odd."],
                "tokens": 640,
                "said": "Trained",
            }
        )
    )
    return tmp_path


class Balanced(HTMLParser):
    """Fails when a tag is closed that is not open; collects headings and addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.headings, self.addresses = [], [], []

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)


def parsed(page):
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    return parser


def test_the_page_holds_the_numbers_and_every_section(run):
    page = build_report(run).read_text()
    headings = parsed(page).headings
    assert headings == [
        "What was done", "Results", "Where the student follows the teacher", "Calibration", "Side by side",
        "Training", "Cost", "How it was measured", "Versions", "Recipe",
    ]  # fmt: skip
    for text in (
        "1.25",
        "1.15 to 1.35",
        "62.5 %",
        "50.0 % to 75.0 %",
        "4 M",
        "1 min 12 s",
        "2.13.0",
        "1,234",
    ):
        assert text in page
    assert page.count("<svg") == 4


def test_the_page_asks_nothing_of_the_network(run):
    page = build_report(run).read_text()
    assert all(address.startswith("#") for address in parsed(page).addresses)
    assert not re.search(r"https?://|@import|url\((?!#)", page)


def test_what_models_wrote_is_escaped(run):
    page = build_report(run).read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&lt;/pre&gt;x" in page and "a &amp; b" in page


def test_the_winner_is_marked_where_its_comparison_is_decided_and_the_teacher_never(run):
    # Bits per byte: the student won; agreement: it lost.
    page = build_report(run).read_text()
    assert re.findall(r'class="best">([\d.]+ ?%?)', page)[:2] == ["1.25", "60.0 %"]


def test_wins_losses_and_the_gap_are_all_said(run):
    page = build_report(run).read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "closes 50 % of the gap between the baseline (no teacher) and the teacher" in page
    assert "25.0 % of the teacher&#39;s parameters (1 M of 4 M)" in page
    assert '<li class="better">The student beats the baseline on bits per byte' in page
    assert '<li class="worse">The student is worse than the baseline on top-1 agreement' in page
    assert "2 comparisons at 95 %, not corrected for their number" in page


def with_bits(student, verdict):
    changed = copy.deepcopy(EVALUATION)
    changed["metrics"]["perplexity"]["subjects"]["student"]["bits_per_byte"] = estimate(student)
    changed["metrics"]["perplexity"]["comparisons"] = [comparison("bits_per_byte", student - 1.5, verdict)]
    return changed


def test_a_student_behind_its_baseline_is_called_so(run):
    (run / "evaluation.json").write_text(json.dumps(with_bits(1.75, "worse")))
    page = build_report(run).read_text()
    assert "The student is worse than the baseline (no teacher) (bits per byte: student 1.75" in page


def test_a_difference_too_small_to_matter_is_grey_however_sure_it_is(run):
    # 1.49 of a way from 1.5 to 1.0 is 2 % of it.
    (run / "evaluation.json").write_text(json.dumps(with_bits(1.49, "better")))
    page = build_report(run).read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "the teacher made no difference that matters" in page
    assert '<li class="undecided">The student is ahead of the baseline by too little to matter (2.0 %' in page
    assert 'class="best">1.49' not in page


def test_too_few_rows_are_called_too_few(run):
    few = with_bits(1.25, "undecided")
    few["metrics"]["perplexity"]["comparisons"][0]["difference"]["rows"] = 5
    (run / "evaluation.json").write_text(json.dumps(few))
    page = build_report(run).read_text()
    assert "5 rows are too few to tell the student from the baseline on bits per byte" in page
    assert "Hold out more rows: 7 are too few for any verdict." in page


def generation(repetition, *, passed=0.5):
    return {
        "max_new_tokens": 9,
        "reference_repetition": estimate(0.05),
        "task": {"name": "python_syntax", "rule": "R.", "null": {"text": "x", "passed": estimate(0.25)}},
        "subjects": {
            name: {
                "repetition": estimate(repetition, repetition - 0.1, repetition + 0.1),
                "task": estimate(passed), "stopped": estimate(0.0), "length": estimate(96.0),
            }
            for name in ("teacher", "student", "baseline")
        },
        "samples": [],
        "comparisons": [],
    }  # fmt: skip


def test_a_student_that_repeats_itself_is_red_and_rows_that_say_nothing_are_left_out(run):
    looping = copy.deepcopy(EVALUATION)
    looping["metrics"]["generation"] = generation(0.8)
    (run / "evaluation.json").write_text(json.dumps(looping))
    page = build_report(run).read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert '<li class="worse">The student repeats itself: 80.0 % of the four-token sequences' in page
    assert 'class="bad">80.0 %' in page and "The same by a constant text" in page and "25.0 %" in page
    assert "Stopped at EOS" not in page and "Length, tokens" not in page
    card = (run / "README.md").read_text()
    assert "repeats itself" in card.split("## Limits")[1] and "50 % of the gap to its teacher is left" in card
    looping["metrics"]["generation"] = generation(0.1)
    (run / "evaluation.json").write_text(json.dumps(looping))
    assert "repeats itself" not in build_report(run).read_text()


def test_a_teacher_below_chance_is_red(tmp_path):
    classes = [{"class": name, "n": 4, "precision": 0.0, "recall": 0.0, "f1": 0.0} for name in "abc"]
    subjects = {
        "teacher": {"accuracy": estimate(0.02), "classes": classes},
        "student": {"accuracy": estimate(0.5)},
    }
    metrics = {"classification": {"subjects": subjects}}
    (tmp_path / "evaluation.json").write_text(
        json.dumps(EVALUATION | {"kind": "classifier", "metrics": metrics})
    )
    page = build_report(tmp_path).read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert '<li class="worse">The teacher is below chance: accuracy 2.0 % over 3 classes' in page
    assert 'class="bad">2.0 %' in page and "in the order of the labels" in page


def test_a_loss_that_falls_at_the_end_asks_for_more_training(run):
    def page(losses):
        lines = (json.dumps(LINE | {"step": at, "loss": loss}) for at, loss in enumerate(losses, 1))
        (run / "metrics.jsonl").write_text("\n".join(lines))
        return build_report(run).read_text()

    noise = [0.01 * (-1) ** at for at in range(100)]
    assert "The loss was still falling" in page([5 - 0.02 * at + noise[at] for at in range(100)])
    assert "The loss was still falling" not in page([2 + noise[at] for at in range(100)])
    risen = page([max(5 - 0.1 * at, 0.02 * at) + noise[at] for at in range(100)])
    assert "The loss rose again before the end of training: lower the learning rate." in risen
    assert "Lower <code>learning_rate</code>" in risen or "Lower `learning_rate`" in risen
    assert "The loss rose again" not in page([5 - 0.02 * at + noise[at] for at in range(100)])


def test_the_run_is_told_in_words(run):
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["steps"][0]["train"]["objective"] = [
        {"name": "forward_kl", "weight": 0.5}, {"name": "cross_entropy", "weight": 0.5},
    ]  # fmt: skip
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (run / "metrics.jsonl").write_text(json.dumps(LINE | {"learning_rate": 0.001}))
    (run / "versions.json").write_text(
        json.dumps({
            "limbeck": "0.1.0", "python": "3.11.7", "packages": {"torch": "2.13.0"},
            "machine": {"processor": "P", "cores": 2, "memory": 25_276_502_016},
            "command": ["/x/limbeck", "run", "word_kd"], "seeds": {"a": 0, "b": 0},
            "started": "2026-11-28T09:00:00+00:00",
        })
    )  # fmt: skip
    done = run / "steps" / "0-train-student" / "done.json"
    done.write_text(
        json.dumps(json.loads(done.read_text()) | {"planned": 50.0, "peak_memory": 1_500_000_000})
    )
    page = build_report(run).read_text()
    for text in (
        "0.5 forward_kl + 0.5 cross_entropy 2.5 at step 1", "limbeck 0.1.0, Python 3.11.7, torch 2.13.0",
        "P, 2 cores, 25.3 GB of memory", "limbeck run word_kd", "2026-11-28 09:00:00 UTC",
        "<td>1 min 12 s</td><td>50.0 s</td><td>1</td><td>640</td><td>0.001</td><td>1.5 GB</td>",
    ):  # fmt: skip
        assert text in page


def test_a_training_row_is_shown_as_the_student_read_it(run):
    done = run / "steps" / "0-train-student" / "done.json"
    example = {
        "row_id": "rows.jsonl:1", "tokens": 3, "in_loss": 2, "all_tokens": 1234, "all_in_loss": 567,
        "parts": [["<user>", False], ["yes & no</s>", True]],
    }  # fmt: skip
    done.write_text(json.dumps(json.loads(done.read_text()) | {"example": example}))
    page = build_report(run).read_text()
    parsed(page)
    assert "567 of 1,234 tokens, once through the rows, are in the loss." in page
    assert "2 of 3 tokens are in the loss" in page
    assert '<pre>&lt;user&gt;<mark class="loss">yes &amp; no&lt;/s&gt;</mark></pre>' in page


@pytest.mark.parametrize(
    ("fields", "said"),
    [({}, "router_balance (weight of the student)"), ({"router_aux_loss_coef": 0.1}, "0.1 router_balance")],
)
def test_a_loss_with_balanced_routers_says_so(run, fields, said):
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["steps"][0]["train"] |= {"objective": [{"name": "forward_kl"}], **fields}
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    terms = {"forward_kl": 2.0, "router_balance": 2.1}
    (run / "metrics.jsonl").write_text(json.dumps(LINE | {"terms": terms}))
    assert f"forward_kl + {said} 2.5 at step 1" in build_report(run).read_text()


def test_sections_without_data_are_left_out(tmp_path):
    (tmp_path / "recipe.yaml").write_text("limbeck: 1\nname: bare\nsteps: []\n")
    page = build_report(tmp_path).read_text()
    assert parsed(page).headings == ["Recipe"] and "<svg" not in page


@pytest.mark.parametrize(
    ("kind", "metrics", "shown"),
    [
        (
            "classifier",
            {
                "classification": {
                    "subjects": {
                        "student": {
                            "accuracy": estimate(0.81), "label_loyalty": estimate(0.93),
                            "classes": [
                                {"class": "sport", "n": 4, "precision": 0.5, "recall": 1.0, "f1": 0.667}
                            ],
                        }
                    }
                }
            },
            ["gives the teacher&#39;s label to 93.0 % of examples", "81.0 %", "sport", "0.667"],
        ),
        (
            "encoder",
            {"similarity": {"subjects": {"student": {"pair_order": estimate(0.87)}}}},
            ["orders sentence pairs as the teacher does with Spearman 0.870"],
        ),
        ("seq2seq", {"perplexity": EVALUATION["metrics"]["perplexity"]}, ["Bits per byte"]),
    ],
)  # fmt: skip
def test_other_kinds_of_model_have_their_own_lines(tmp_path, kind, metrics, shown):
    (tmp_path / "evaluation.json").write_text(json.dumps(EVALUATION | {"kind": kind, "metrics": metrics}))
    page = build_report(tmp_path).read_text()
    parsed(page)
    page = page.replace("\N{NO-BREAK SPACE}", " ")
    assert all(text in page for text in shown), shown


def test_the_model_card_opens_with_front_matter_and_tells_how_to_load(run):
    build_report(run)
    card = (run / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front)["pipeline_tag"] == "text-generation"
    assert 'AutoModelForCausalLM.from_pretrained("student")' in body
    assert re.search(r"\| Bits per byte ↓ \| 50 \| 1.00 .*\| \*\*1.25\*\*", body)
    assert "\n|---|---:|---:|---:|---:|\n| Parameters" in body


def test_a_folder_without_a_run_and_a_foreign_evaluation_are_refused(tmp_path):
    with pytest.raises(RunFolderError, match=r"must hold recipe\.yaml or evaluation\.json"):
        build_report(tmp_path)
    (tmp_path / "evaluation.json").write_text(json.dumps({"format": "limbeck-evaluation", "version": 9}))
    with pytest.raises(RunFolderError, match="version 1, got limbeck-evaluation version 9"):
        build_report(tmp_path)


def test_numbers_are_written_for_people():
    assert [number(value) for value in (0, 0.12345, 1.2345, 12.345, 123.45, 12345.6, 0.00001)] == [
        "0", "0.123", "1.23", "12.3", "123", "12,346", "1.0e-05",
    ]  # fmt: skip
    assert (count(3_460_000), count(12)) == ("3.46 M", "12")
    assert (duration(4.21), duration(192), duration(3900)) == ("4.2 s", "3 min 12 s", "1 h 5 min")
