"""The user's mistakes: exit code 2, a line each with place, what is allowed, what to do; nothing starts."""

# ruff: noqa: E501  (messages are written out whole)

import subprocess
import sys
from pathlib import Path

import pytest

from limbeck.runs import execute
from tests.runs.world import write_rows

SMALL = {"max_steps": 2, "per_device_train_batch_size": 2, "heldout": 4, "max_length": 48}


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch, tmp_path):
    def started(*arguments):
        raise AssertionError("a step was started on bad input")

    monkeypatch.setattr(execute, "_work", started)
    yield
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def word_kd(limbeck, world):
    """The errors of `limbeck run word_kd` with something wrong."""

    def run(*pairs, teacher="teacher", student="student", data="answers.jsonl"):
        places = {"teacher": world / teacher, "student": world / student, "data": world / data}
        words = dict(pair.split("=", 1) for pair in pairs)
        ended = limbeck(
            "run", "word_kd", *(f"{key}={value}" for key, value in (SMALL | places | words).items())
        )
        assert ended.code == 2, ended
        assert "Traceback" not in ended.err
        return ended.errors

    return run


def test_an_unknown_and_a_misspelt_key(word_kd):
    assert word_kd("learning_rat=1", "zzz=1") == [
        "error: learning_rat: unknown key 'learning_rat'. Did you mean 'learning_rate'?",
        "error: zzz: unknown key 'zzz'. word_kd takes teacher, student, data, kd_ratio, temperature, columns, "
        "heldout, baseline, learning_rate, num_train_epochs, max_steps, per_device_train_batch_size, max_length, "
        "seed, and settings of training; see `limbeck list recipes word_kd` and `limbeck list settings`.",
    ]


def test_a_wrong_type(word_kd):
    assert word_kd("learning_rate=fast", "seed=1.5") == [
        "error: learning_rate: must be auto or a number above 0, got 'fast'.",
        "error: seed: must be a whole number, got 1.5.",
    ]


def test_a_wrong_value_a_missing_file_and_a_missing_model_in_one_go(word_kd, world):
    assert word_kd("learning_rate=fast", data="answer.jsonl", teacher="teachr") == [
        "error: learning_rate: must be auto or a number above 0, got 'fast'.",
        f"error: steps.0.load: data must be a file, a folder or a hub id, got {world / 'answer.jsonl'}. "
        "Did you mean 'answers.jsonl'?",
        f"error: steps.2.train.teacher.model: model must be an existing folder with a config.json, got "
        f"{world / 'teachr'}, which does not exist. Did you mean {world / 'teacher'}?",
    ]


def test_data_is_looked_for_even_when_inputs_are_missing(limbeck):
    ended = limbeck("plan", "word_kd", "data=answers.jsonl")
    assert ended.code == 2
    assert ended.errors[1:] == [
        "error: data: data must be a file, a folder or a hub id, got answers.jsonl. There is no data file in "
        f"{Path.cwd()}."
    ]


def test_files_are_named_that_could_be_meant(limbeck, tmp_path):
    for name in ("b.jsonl", "a.csv", "notes.pdf"):
        (tmp_path / name).touch()
    ended = limbeck("run", "word_kd", "teacher=T", "student=S", "data=questions.jsonl")
    assert ended.errors == [
        "error: steps.0.load: data must be a file, a folder or a hub id, got questions.jsonl. There is: a.csv, "
        "b.jsonl."
    ]


def test_places_are_looked_at_before_torch_is_imported(tmp_path):
    code = (
        "import sys; from limbeck.cli.main import main\n"
        "sys.argv = ['limbeck', 'run', 'word_kd', 'teacher=./t', 'student=S', 'data=d.jsonl']\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 2\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_wrong_hyperparameter(word_kd):
    assert word_kd("temperature=0") == [
        "error: steps.2.train.objective.1.forward_kl: temperature must be above 0 and finite, got 0.0."
    ]


def test_a_broken_line(word_kd, world):
    (world / "bad.jsonl").write_text('{"prompt": "a", "completion":\n{"prompt" "b"}\n[1]\n')
    assert word_kd(data="bad.jsonl") == [
        f"error: steps.0.load: {world / 'bad.jsonl'}:1: must be a JSON object; expecting value, at the end of the "
        "line.",
        f"error: steps.0.load: {world / 'bad.jsonl'}:2: must be a JSON object; expecting ':' delimiter, at column "
        "11.",
        f"error: steps.0.load: {world / 'bad.jsonl'}:3: must be a JSON object.",
    ]


def test_a_row_without_target(word_kd, world):
    rows = [{"prompt": "the cat", "completion": text} for text in ("sat", "", "mat", "dog", "on", "the")]
    write_rows(world / "no_target.jsonl", rows)
    said, advice = word_kd(data="no_target.jsonl")
    assert "steps.0.load" in said
    assert advice == "error: steps.0.load: Set bad_rows: drop in the load step to leave such rows out."
    assert (
        "row no_target.jsonl:2: completion must be text that is not empty, got ''. Take the row out or fill it."
        in said
    )


def test_an_empty_heldout_split(word_kd):
    (said,) = word_kd("heldout=0")
    assert said.startswith("error: steps.3.evaluate.rows: has no rows, because steps.0.load.heldout is 0.")


def test_a_heldout_split_that_comes_out_empty(word_kd, world):
    write_rows(world / "marked.jsonl", [{"text": f"the cat {n}", "heldout": False} for n in range(6)])
    (said,) = word_kd(data="marked.jsonl")
    assert said.startswith("error: steps.0.load.heldout: must leave at least one row in rows.heldout, which")


def test_teacher_and_student_with_different_vocabularies(word_kd):
    (said,) = word_kd(student="other")
    assert said.startswith("error: steps.2.train.teacher: student and teacher must")
    assert "300 and 320 tokens" in said
    assert "Choose a teacher of the student's family" in said


def test_a_prompt_longer_than_max_length(word_kd, world):
    rows = [
        {"prompt": f"{n} " + "the cat " * (30 + n if n > 1 else 1), "completion": "sat"} for n in range(8)
    ]
    write_rows(world / "long.jsonl", rows)
    (said,) = word_kd(data="long.jsonl")
    assert said.startswith(
        "error: steps.1.train, steps.2.train, steps.3.evaluate: prompts must leave room for an answer within "
        "max_length 48, got 6 rows whose prompt does not: row long.jsonl:"
    )
    assert said.endswith(
        ", and 3 more. Set max_length to at least 77, or leave these rows out with too_long: drop in the load step."
    )


def test_rows_longer_than_the_model_reads(word_kd, world):
    write_rows(world / "wide.jsonl", [{"text": f"{n} cats sat on the mat " * 80} for n in range(8)])
    said = word_kd("max_length=400", data="wide.jsonl")
    assert said[0] == (
        "error: steps.1.train.max_length, steps.2.train.max_length, steps.3.evaluate.max_length: must be at most "
        f"256, the positions of {world / 'student'}, got rows of "
        "400 tokens. Set max_length=256."
    )


def test_a_folder_that_is_no_model(word_kd, world):
    (said,) = word_kd(student=".")
    assert said.startswith(
        f"error: steps.1.train.student: model must be a folder with a config.json, got {world}"
    )
    assert "Did you mean" in said


def test_layers_that_the_model_does_not_have(limbeck, world):
    ended = limbeck(
        "run", "pkd", f"teacher={world / 'bert'}", f"data={world / 'labels.jsonl'}", "layers=3"
    )  # fmt: skip
    assert (ended.code, ended.errors) == (2, [
        "error: steps.4.train.objective.2.layers.teacher: must lie between -4 and 3, the teacher has 4 layers, got 7."
    ])  # fmt: skip


def test_relation_heads_that_do_not_divide_the_width(limbeck, world):
    ended = limbeck("run", "minilm", f"teacher={world / 'bert'}", f"data={world / 'texts.jsonl'}", "layers=2")
    assert (ended.code, ended.errors) == (2, [
        "error: steps.2.train.objective.0.relation_kl: relation_heads must divide the student's width 32, got 12."
    ])  # fmt: skip


def test_a_metric_that_the_model_does_not_have(word_kd):
    assert word_kd("steps.3.evaluate.metrics=[classification]") == [
        "error: steps.3.evaluate.metrics.0: must be perplexity, fidelity, entities, anls, generation, "
        "calibration, speed for models of kind causal, got classification. Leave it out."
    ]


def test_not_enough_disk(limbeck, world):
    huge = "{hidden_size: 65536, intermediate_size: 262144, num_hidden_layers: 400, num_attention_heads: 512}"
    ended = limbeck(
        "run", "word_kd", f"teacher={world / 'teacher'}", f"student.fresh={world / 'teacher'}",
        f"student.sizes={huge}", f"data={world / 'answers.jsonl'}",
        *(f"{key}={value}" for key, value in SMALL.items()),
    )  # fmt: skip
    assert ended.code == 2
    (said,) = ended.errors
    assert said.startswith("error: steps.1.build: disk must have ")
    assert "Choose another disk with --out, a smaller student" in said


def test_a_run_folder_of_another_recipe(limbeck, world, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    shown = limbeck("show", "word_kd", "teacher=T", "student=S", "data=D").out
    (folder / "recipe.yaml").write_text(shown)
    ended = limbeck("run", "word_kd", "teacher=T", "student=S", "data=E", "--out", folder)
    assert (ended.code, ended.errors) == (2, [
        f"error: {folder}: already contains a run with other settings. Choose another folder with --out, or recompute what "
        "changed here with --overwrite.",
        "error: steps.0.load.path: was D, now E.",
    ])  # fmt: skip


def test_a_run_folder_of_a_recipe_with_another_name(limbeck, world, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("limbeck: 1\nname: hellinger\nsteps: []\n")
    ended = limbeck("run", "word_kd", "teacher=T", "student=S", "data=E", "kd_ratio=2", "--out", folder)
    assert (ended.code, ended.errors) == (2, [
        "error: kd_ratio: must be less than or equal to 1, got 2.",
        f"error: {folder}: already contains a run of hellinger, this is word_kd. Choose another folder with --out, or "
        "recompute what changed here with --overwrite.",
    ])  # fmt: skip


def test_a_run_folder_with_many_differences(limbeck, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    words = ("word_kd", "teacher=T", "student=S", "data=D")
    (folder / "recipe.yaml").write_text(limbeck("show", *words).out)
    changed = (f"steps.{step}.train.{key}={step}{n}" for step in (1, 2) for n, key in enumerate(
        ("learning_rate", "max_steps", "gradient_accumulation_steps", "max_length", "weight_decay")
    ))  # fmt: skip
    said = limbeck("run", *words, *changed, "--out", folder).errors
    assert len(said) == 1 + 8 + 1
    assert said[1].startswith("error: steps.1.train.")
    assert all(" was " in line and ", now " in line and "{" not in line for line in said[1:9])
    assert said[9] == "error: and 2 more."


def test_a_folder_that_is_no_run_is_refused(limbeck, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "thesis.tex").touch()
    ended = limbeck("run", "word_kd", "teacher=T", "student=S", "data=D", "--out", folder)
    assert (ended.code, ended.errors) == (2, [
        f"error: run folder must be new, empty or an earlier run, got {folder}, which holds other files "
        "(thesis.tex, ...). Choose another with --out."
    ])  # fmt: skip


def test_doctor_says_which_model_is_wrong(limbeck, world):
    ended = limbeck(
        "doctor", f"teacher={world / 'teachr'}", f"student={{cut: {world / 'techer'}, layers: 2}}"
    )
    lost = "model must be an existing folder with a config.json, got"
    near = f"which does not exist. Did you mean {world / 'teacher'}?"
    assert (ended.code, ended.errors) == (2, [
        f"error: teacher: {lost} {world / 'teachr'}, {near}", f"error: student: {lost} {world / 'techer'}, {near}"
    ])  # fmt: skip


def test_doctor_reads_a_student_that_is_yet_to_be_made(limbeck, world):
    teacher = world / "teacher"
    ended = limbeck("doctor", f"teacher={teacher}", f"student={{cut: {teacher}, layers: 2}}")
    assert ended.code == 0, ended.err
    assert f"student      {teacher}: causal, " in ended.out
    assert "parameters, 2 layers" in ended.out


def test_a_recipe_file_with_mistakes(limbeck, tmp_path):
    (tmp_path / "mine.yaml").write_text("limbeck: 1\nname: mine\nsteps:\n  - load: {out: rows, pat: d}\n")
    ended = limbeck("run", "mine.yaml")
    assert (ended.code, ended.errors) == (2, [
        "error: steps.0.load.path: is required and has no default.",
        "error: steps.0.load.pat: unknown key 'pat'. Did you mean 'path'?",
    ])  # fmt: skip


def test_a_value_of_a_megabyte_is_not_printed_whole(limbeck, tmp_path):
    text = "x" * 400_000
    (tmp_path / "mine.yaml").write_text(
        f"limbeck: 1\nname: mine\nsteps:\n  - load: {{out: a, limit: {text}}}\n"
    )
    ended = limbeck("plan", "mine.yaml")
    assert ended.code == 2 and len(ended.err) < 10_000
    assert "characters left out" in ended.err


def test_not_more_problems_are_said_than_can_be_read(limbeck, tmp_path):
    steps = "".join(f"  - nothing{n}: {{}}\n" for n in range(200))
    (tmp_path / "mine.yaml").write_text(f"limbeck: 1\nname: mine\nsteps:\n{steps}")
    ended = limbeck("plan", "mine.yaml")
    assert (ended.code, len(ended.errors), ended.errors[-1]) == (2, 51, "error: and 150 more.")


def test_a_disk_that_refuses_is_no_fault_of_limbeck(limbeck, tmp_path, monkeypatch):
    def full(*words: object) -> None:
        raise OSError(28, "No space left on device", "/full/table.md")

    monkeypatch.setattr("limbeck.cli.comparing.compare_command", full)
    monkeypatch.setattr("limbeck.cli.commands.report_command", full)
    ended = limbeck("report", tmp_path)
    assert (ended.code, ended.errors) == (2, [
        "error: disk must have room for /full/table.md, got: No space left on device. Free some space and run the "
        "same command again: what is finished is kept, and it goes on where it stopped."
    ])  # fmt: skip
