"""What commands print, how they end, and how fast the ones that must be fast are."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from limbeck.core.catalogue import catalogue
from limbeck.runs import launch

LIMBECK = str(Path(sys.executable).parent / "limbeck")
# Of process time: the machine may have other work. The promised times are 0.3 and 1 s.
SOON, QUICK = 0.8, 2.5

METRICS = {
    "anls",
    "calibration",
    "classification",
    "entities",
    "fidelity",
    "generation",
    "masked_tokens",
    "perplexity",
    "similarity",
    "speed",
}


def test_list_names_every_part(limbeck):
    listed = json.loads(limbeck("list", "--json").out)
    assert {entry["name"] for entry in listed["objectives"]} == set(catalogue("objectives"))
    assert {entry["name"] for entry in listed["metrics"]} == METRICS
    assert {entry["name"] for entry in listed["recipes"]} == set(catalogue("recipes"))
    assert all(entry["summary"] for entries in listed.values() for entry in entries)
    schedules = {entry["name"] for entry in json.loads(limbeck("list", "schedules", "--json").out)}
    assert schedules == {"adaptive_interpolation", "adaptive_share", "cosine", "linear", "plateau"}
    for kind, entries in listed.items():
        printed = limbeck("list", kind).out
        assert all(entry["name"] in printed for entry in entries)


def test_list_refuses_unknown_words(limbeck):
    assert limbeck("list", "recipe", "--jsn")[::2] == (
        2, "error: list: unknown option '--jsn'. Did you mean '--json'?\n"
        "error: list: unknown list 'recipe'. Did you mean 'recipes'?\n",
    )  # fmt: skip


def test_show_prints_a_recipe_file_that_runs(limbeck, tmp_path):
    first = limbeck("show", "word_kd", "teacher=T", "student=S", "data=D", "max_steps=3")
    assert first.code == 0
    (tmp_path / "mine.yaml").write_text(first.out)
    assert limbeck("show", "mine.yaml").out == first.out


def test_plan_prints_what_a_run_needs_and_leaves_nothing(limbeck, world, tmp_path):
    ended = limbeck(
        "plan", "word_kd", f"teacher={world / 'teacher'}", f"student={world / 'student'}",
        f"data={world / 'answers.jsonl'}", "heldout=4", "max_length=48", "num_train_epochs=2",
        "per_device_train_batch_size=2", "packing=false",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    # 24 rows, 4 held out: 20 rows, 2 epochs, 2 rows a step.
    assert "20 rows, 4 held out" in ended.out
    assert " 20 " in next(line for line in ended.out.splitlines() if "train student" in line)
    assert "Dry run: nothing was executed." in ended.out
    assert list(tmp_path.iterdir()) == []


def test_a_plan_says_of_another_run_in_the_folder_that_run_will_need_another_place(limbeck, world, tmp_path):
    words = (
        "sft", f"student={world / 'student'}", f"data={world / 'answers.jsonl'}", "max_steps=1", "heldout=4",
        "max_length=48", "steps.evaluation.metrics=[perplexity]",
    )  # fmt: skip
    assert limbeck("run", *words).code == 0
    same = limbeck("plan", *words)
    assert same.code == 0 and "note:" not in same.out
    times = [line.split()[-1] for line in same.out.splitlines() if line[:1].isdigit()]
    assert times == ["done"] * 3
    other = limbeck("plan", *words, "learning_rate=1e-3")
    assert other.code == 0, other.err
    assert "note: limbeck run will need another --out: runs/sft: " in other.out
    times = [line.split()[-1] for line in other.out.splitlines() if line[:1].isdigit()]
    assert times[0] == "done" and "done" not in times[1:]


def test_plans_are_no_wider_than_80_columns_and_count_steps_as_paths_do(limbeck, world, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ended = limbeck(
        "plan", "word_kd", f"teacher={world / 'teacher'}", f"student={world / 'student'}",
        f"data={world / 'answers.jsonl'}", "heldout=4", "max_length=48",
    )  # fmt: skip
    lines = ended.out.partition("needs ")[0].splitlines()
    assert all(len(line) <= 80 or " " not in line.strip() for line in lines)
    assert [line.split()[:3] for line in lines if line[:1].isdigit()] == [
        ["0", "load", "rows"],
        ["1", "train", "baseline"],
        ["2", "train", "student"],
        ["3", "evaluate", "evaluation"],
    ]


def test_run_prints_steps_and_result_and_evaluate_and_report_go_on_from_it(limbeck, world, tmp_path):
    words = (
        "run", "sft", f"student={world / 'student'}", f"data={world / 'answers.jsonl'}", "max_steps=2",
        "heldout=4", "max_length=48", "steps.2.evaluate.metrics=[perplexity]",
    )  # fmt: skip
    ended = limbeck(*words)
    assert ended.code == 0, ended.err
    assert "bits/byte" in ended.out
    assert f"student: {Path('runs/sft/student')}" in ended.out
    assert f"report: {Path('runs/sft/report.html')}" in ended.out
    again = limbeck(*words)
    assert again.code == 0
    assert again.out.count("reused") + again.err.count("reused") == 3
    (tmp_path / "runs/sft/report.html").unlink()
    assert limbeck("report", "runs/sft").code == 0
    assert (tmp_path / "runs/sft/report.html").is_file()
    measured = limbeck(
        "evaluate", "runs/sft/student", "--data", world / "texts.jsonl", "--teacher", world / "teacher",
        "metrics=[perplexity, fidelity]", "max_length=48", "--json",
    )  # fmt: skip
    assert measured.code == 0, measured.err
    result = json.loads(measured.out)
    assert [subject["name"] for subject in result["subjects"]] == ["teacher", "student"]
    assert result["data"]["rows"] == 24


def test_doctor_looks_at_machine_and_models(limbeck, world):
    ended = limbeck("doctor", f"teacher={world / 'teacher'}", f"student={world / 'student'}")
    assert ended.code == 0, ended.err
    assert {"limbeck", "packages", "processor", "memory", "disk", "vocabulary"} <= {
        line.split()[0] for line in ended.out.splitlines()
    }
    assert (
        limbeck("doctor", "techer=x").err == "error: techer: unknown key 'techer'. Did you mean 'teacher'?\n"
    )


def test_doctor_says_that_chat_formats_differ(limbeck, world, tmp_path):
    shutil.copytree(world / "student", tmp_path / "plain")
    (tmp_path / "plain" / "chat_template.jinja").unlink()
    ended = limbeck("doctor", f"teacher={world / 'teacher'}", f"student={tmp_path / 'plain'}")
    assert "chat template: student none, teacher its own" in ended.out
    alike = limbeck("doctor", f"teacher={world / 'teacher'}", f"student={world / 'student'}")
    assert "chat template" not in alike.out


def test_doctor_says_what_it_reads_of_a_file(limbeck, world):
    said = limbeck("doctor", f"data={world / 'reasons.jsonl'}")
    assert said.code == 0, said.err
    assert f"{world / 'reasons.jsonl'}: 24 rows of question+answer; beside these: llm_rationale" in said.out
    lost = limbeck("doctor", "data=reasens.jsonl")
    assert lost.code == 2
    assert lost.err.startswith("error: data: data must be a file, a folder or a hub id, got reasens.jsonl.")


def test_doctor_shows_how_different_tokenizers_line_up(limbeck, world, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat\nand the dog\n", encoding="utf-8")
    ended = limbeck(
        "doctor",
        f"teacher={world / 'other'}",
        f"student={world / 'student' / 'tokenizer.json'}",
        f"data={text}",
    )
    assert ended.code == 0, ended.err
    said = {line.split()[0]: line for line in ended.out.splitlines()}
    assert "alm" in said["applicable"]
    assert "33 bytes" in said["aligned"] and "0 not covered" in said["aligned"]


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (RuntimeError("a fault\nmore"), 1)])
def test_other_endings_have_their_own_codes(limbeck, monkeypatch, error, code):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(launch, "run", fail)
    ended = limbeck("run", "quickstart")
    assert ended.code == code
    assert "Traceback" not in ended.err
    last = {130: "The same command goes on where it stopped.", 1: "See where with --debug."}[code]
    assert ended.err.strip().endswith(last)
    assert "Traceback" in limbeck("run", "quickstart", "--debug").err


@pytest.mark.parametrize(
    ("words", "code", "bound", "absent"),
    [
        (["--help"], 0, SOON, ("torch", "transformers", "datasets", "pydantic")),
        (["compare", "--help"], 0, SOON, ("torch", "transformers", "datasets", "scipy")),
        (["compare", "nowhere"], 2, QUICK, ("torch", "transformers", "datasets", "scipy")),
        (["view", "nowhere"], 2, QUICK, ("torch", "transformers", "datasets")),
        (["list"], 0, SOON, ("torch", "transformers", "datasets", "pydantic", "typer")),
        (["show", "quickstart"], 0, QUICK, ("torch", "transformers", "datasets")),
        (["run", "word_kd", "max_step=3"], 2, QUICK, ("torch", "transformers", "datasets")),
        (["plan", "nothing.yaml"], 2, QUICK, ("torch", "transformers", "datasets")),
    ],
)
def test_quick_commands_import_nothing_slow(words, code, bound, absent):
    program = (
        "import sys, atexit; atexit.register(lambda: print('IMPORTED', *sys.modules)); "
        "from limbeck.cli.main import main; main()"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert ended.returncode == code, ended.stderr
    imported = set(ended.stdout.rpartition("IMPORTED")[2].split())
    assert imported.isdisjoint(absent), imported & set(absent)
    assert seconds < bound


def test_the_installed_command_refuses_and_is_interrupted_with_the_right_codes(world, tmp_path):
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    words = [
        LIMBECK, "run", "sft", f"student={world / 'student'}", f"data={world / 'answers.jsonl'}", "heldout=4",
        "max_length=48", "max_steps=100000", "save_steps=null",
    ]  # fmt: skip
    running = subprocess.Popen(
        words, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "runs/sft/steps/1-train-student/metrics.jsonl"
    for _ in range(600):
        if metrics.is_file() and metrics.stat().st_size:
            break
        time.sleep(0.1)
    running.terminate()
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert said.strip().endswith("The same command goes on where it stopped.")
    assert "Traceback" not in said
    assert (metrics.parent / "checkpoint").is_dir()


def test_an_out_folder_may_be_named_like_markup(limbeck, world):
    words = (f"student={world / 'student'}", f"data={world / 'texts.jsonl'}", "max_steps=1", "max_length=32")
    ended = limbeck("run", "sft", *words, "heldout=2", "--out", "r/[/b]:warning:")
    assert ended.code == 0, ended.err
    assert "student: r/[/b]:warning:/student" in ended.out
