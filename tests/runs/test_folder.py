"""Run folders: finished steps are reused, interrupted ones go on, and nothing is overwritten unasked."""

import contextlib
import json
import os
import resource
import shutil
import signal
from pathlib import Path

import pytest

import limbeck
from limbeck.core.errors import Interrupted, ResourceError, RunFolderError
from limbeck.runs import execute
from limbeck.runs.record.fingerprints import fingerprint_steps
from limbeck.runs.record.folder import RunFolder, differences
from limbeck.runs.record.progress import Silent
from limbeck.runs.resolve import resolve
from tests.runs.world import write_rows


class Seen(Silent):
    """Remembers which steps worked and which were reused."""

    def __init__(self) -> None:
        self.worked: list[str] = []
        self.taken: list[str] = []

    def begun(self, stage):
        self.worked.append(stage.out)

    def reused(self, stage):
        self.taken.append(stage.out)


class Stopping(Seen):
    """Sends a signal in the middle of a training."""

    def __init__(self, out: str, step: int, number: int) -> None:
        super().__init__()
        self.where = (out, step)
        self.number = number

    def trained(self, stage, report):
        if (stage.out, report.step) == self.where:
            os.kill(os.getpid(), self.number)


@pytest.fixture
def start(world, tmp_path):
    """Starts the same small run again and again, in the same folder unless told otherwise."""
    shutil.copy(world / "answers.jsonl", tmp_path / "data.jsonl")
    given = {
        "teacher": str(world / "teacher"),
        "student": str(world / "student"),
        "data": str(tmp_path / "data.jsonl"),
        "max_steps": 4,
        "per_device_train_batch_size": 2,
        "heldout": 4,
        "max_length": 48,
        "steps.3.evaluate.metrics": ["perplexity"],
    }

    def run(progress=None, *, out="run", overwrite=False, **inputs):
        progress = progress or Seen()
        limbeck.run("word_kd", tmp_path / out, overwrite=overwrite, progress=progress, **(given | inputs))
        return progress

    run.folder = tmp_path / "run"
    run.data = tmp_path / "data.jsonl"
    run.given = given
    return run


def metrics_of(folder: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in ("phase", "step", "loss", "grad_norm", "tokens")} for line in lines]


ALL = ["rows", "baseline", "student", "evaluation"]


def test_a_second_run_reuses_every_step(start):
    assert start().worked == ALL
    before = {path: path.stat().st_mtime_ns for path in start.folder.rglob("*") if path.is_file()}
    second = start()
    assert (second.worked, second.taken) == ([], ALL)
    after = {path: path.stat().st_mtime_ns for path in start.folder.rglob("*") if path.is_file()}
    assert {path.name for path in after if before.get(path) != after[path]} == {".lock"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_training_goes_on_as_if_nothing_had_happened(start, number):
    start(out="whole")
    with pytest.raises(Interrupted, match="after step 2 of 4"):
        start(Stopping("student", 2, number))
    assert not (start.folder / "evaluation.json").exists()
    second = start()
    assert (second.taken, second.worked) == (["rows", "baseline"], ["student", "evaluation"])
    assert metrics_of(start.folder) == metrics_of(start.folder.parent / "whole")


def test_a_changed_field_is_refused_by_name_and_nothing_is_touched(start):
    start()
    before = sorted(start.folder.rglob("*"))
    with pytest.raises(RunFolderError) as caught:
        start(**{"steps.2.train.learning_rate": 5e-4})
    assert [str(problem) for problem in caught.value.problems] == [
        f"{start.folder}: already contains a run with other settings. Choose another folder with --out, "
        "or recompute what changed here with --overwrite.",
        "steps.2.train.learning_rate: was auto, now 0.0005.",
    ]
    assert sorted(start.folder.rglob("*")) == before


def test_overwrite_reruns_the_changed_step_and_the_ones_behind_it_only(start):
    start()
    second = start(overwrite=True, **{"steps.2.train.learning_rate": 5e-4})
    assert (second.taken, second.worked) == (["rows", "baseline"], ["student", "evaluation"])
    assert "learning_rate: 0.0005" in (start.folder / "recipe.yaml").read_text()


def test_overwrite_keeps_steps_that_only_changed_their_number(start):
    start()
    given = {key: value for key, value in start.given.items() if key != "steps.3.evaluate.metrics"}
    second = Seen()
    limbeck.run(
        "word_kd", start.folder, overwrite=True, progress=second,
        **(given | {"baseline": False, "steps.2.evaluate.metrics": ["perplexity"]}),
    )  # fmt: skip
    assert (second.taken, second.worked) == (["rows", "student"], ["evaluation"])
    assert sorted(path.name for path in (start.folder / "steps").iterdir()) == [
        "0-load-rows", "1-train-student", "2-evaluate-evaluation"
    ]  # fmt: skip


def test_changed_data_is_refused_by_name_unless_overwritten(start):
    start()
    write_rows(start.data, [{"prompt": f"one {n}", "completion": "two three"} for n in range(12)])
    with pytest.raises(RunFolderError, match=r"0-load-rows: was made from other .*data.jsonl: changed since"):
        start()
    assert start(overwrite=True).worked == ALL


def test_a_folder_that_is_no_run_is_refused(start):
    start.folder.mkdir()
    (start.folder / "thesis.tex").write_text("years of work")
    with pytest.raises(RunFolderError, match=r"must be new, empty or an earlier run, .*thesis\.tex"):
        start(overwrite=True)
    assert [path.name for path in start.folder.iterdir()] == ["thesis.tex"]


def test_two_processes_cannot_use_one_folder(start):
    with (
        RunFolder(start.folder).claimed(),
        pytest.raises(RunFolderError, match=f"one process at a time, .* process {os.getpid()} is using"),
    ):
        start()


def test_fingerprints_change_with_a_field_and_with_what_is_read_and_with_nothing_else(start):
    def marks(**inputs):
        return [mark.value for mark in fingerprint_steps(resolve("word_kd", start.given | inputs))]

    first = marks()
    assert marks() == first
    changed = marks(**{"steps.1.train.seed": 3})
    assert [a == b for a, b in zip(first, changed, strict=True)] == [True, False, True, False]
    changed = marks(heldout=5)
    assert [a == b for a, b in zip(first, changed, strict=True)] == [False, False, False, False]


def swap_two_ids(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    vocabulary = content["model"]["vocab"]
    one, two = [token for token, index in vocabulary.items() if 100 <= index < 1000][:2]
    vocabulary[one], vocabulary[two] = vocabulary[two], vocabulary[one]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change",
    [
        swap_two_ids,
        lambda folder: (folder / "chat_template.jinja").write_text("{{ messages }}"),
        lambda folder: (folder / "generation_config.json").write_text('{"eos_token_id": 7}'),
        lambda folder: (folder / "tokenizer_config.json").write_text("{}"),
    ],
)
@pytest.mark.parametrize(
    ("which", "same"), [("student", [True, False, False, False]), ("teacher", [True, True, False, False])]
)
def test_a_changed_file_of_a_model_changes_the_steps_that_read_it(start, tmp_path, change, which, same):
    shutil.copytree(start.given[which], tmp_path / which)
    recipe = resolve("word_kd", start.given | {which: str(tmp_path / which)})
    first = fingerprint_steps(recipe)
    change(tmp_path / which)
    assert [a == b for a, b in zip(first, fingerprint_steps(recipe), strict=True)] == same


def test_a_tokenizer_of_its_own_is_read_too(start, tmp_path):
    shutil.copytree(start.given["student"], tmp_path / "words")
    given = start.given | {"student": {"model": start.given["student"], "tokenizer": str(tmp_path / "words")}}
    recipe = resolve(
        "alm", {name: value for name, value in given.items() if name != "steps.3.evaluate.metrics"}
    )
    first = fingerprint_steps(recipe)
    swap_two_ids(tmp_path / "words")
    assert first[-2] != fingerprint_steps(recipe)[-2]


def test_data_of_the_hub_is_known_by_its_commit(start, monkeypatch):
    class Builder:
        hash = "a1"

    monkeypatch.setattr("datasets.load_dataset_builder", lambda name, configuration: Builder)
    recipe = resolve("word_kd", start.given | {"data": "someone/rows"})
    first = fingerprint_steps(recipe)[0]
    assert fingerprint_steps(recipe)[0] == first
    Builder.hash = "b2"
    assert fingerprint_steps(recipe)[0] != first


def test_a_kind_of_step_that_counts_otherwise_is_made_anew_with_all_behind_it(start, monkeypatch):
    recipe = resolve("word_kd", start.given)
    first = fingerprint_steps(recipe)
    monkeypatch.setattr("limbeck.runs.steps.train.VERSION", 1_000)
    again = fingerprint_steps(recipe)
    assert [a == b for a, b in zip(first, again, strict=True)] == [True, False, False, False]


def test_what_changes_no_result_leaves_finished_steps_finished(start):
    start()
    second = start(**{"logging_steps": 2, "save_steps": 1, "steps.2.train.report_to": []})
    assert (second.worked, second.taken) == ([], ALL)


DAMAGE = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b'{"fingerprint": "',
    b"\xff\x00\xfe",
    b'{"fingerprint": 3, "reads": []}',
]


def test_a_step_whose_record_is_damaged_is_not_finished(start):
    start()
    steps = start.folder / "steps"
    whole = (start.folder / "student" / "model.safetensors").read_bytes()
    for number, damage in enumerate(DAMAGE):
        (steps / "2-train-student").mkdir(exist_ok=True)
        (steps / "2-train-student" / "done.json").write_bytes(damage)
        if number % 2:
            (steps / "2-train-student" / "begun.json").write_bytes(damage)
        run = RunFolder(start.folder)
        recipe = resolve("word_kd", start.given)
        marks = fingerprint_steps(recipe)
        assert not run.check_step(2, recipe.steps[2], marks[2], overwrite=False)
        run.keep_only(recipe, marks)
    second = start()
    assert second.worked == ["student"]
    assert (start.folder / "student" / "model.safetensors").read_bytes() == whole


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json"])
def test_what_a_finished_step_made_is_not_read_after_it_was_changed(start, name):
    class Stopped(Seen):
        def begun(self, stage):
            if stage.out == "evaluation":
                raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        start(Stopped())
    step = start.folder / "steps" / "2-train-student"
    file = step / "model" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(RunFolderError, match=rf"{name}: must be as the step made it, got other bytes\."):
        start()
    file.unlink()
    with pytest.raises(RunFolderError, match=rf"{name}: must be as the step made it, got no file"):
        start()
    shutil.rmtree(step)
    assert start().worked == ["student", "evaluation"]


def test_a_run_that_is_killed_while_it_is_completed_again_is_completed(start, monkeypatch):
    start()
    monkeypatch.setattr(execute, "copy_student", lambda *words: pytest.fail("killed"))
    given = {"steps.student.learning_rate": 5e-4}
    with pytest.raises(pytest.fail.Exception):
        start(overwrite=True, **given)
    monkeypatch.undo()
    monkeypatch.setattr(execute, "write_report", lambda run: (run.path / "report.html").touch())
    assert start(**given).worked == []
    one, two = (
        start.folder / name / "model.safetensors" for name in ("student", "steps/2-train-student/model")
    )
    assert one.read_bytes() == two.read_bytes()
    assert not (start.folder / ".working").exists()


def test_what_a_kill_left_is_ours_and_is_removed(start):
    start.folder.mkdir()
    (start.folder / ".lock").write_text("1")
    (start.folder / ".recipe.yaml.1.part").write_text("lim")
    start()
    step = start.folder / "steps" / "2-train-student"
    before = sorted(path for path in step.rglob("*"))
    (start.folder / ".recipe.yaml.2.part").write_text("lim")
    (start.folder / ".student.2.part").mkdir()
    (step / ".done.json.2.part").write_text("")
    for name in ("checkpoint", "checkpoint.part", "rollouts", ".model.2.part"):
        (step / name).mkdir()
        (step / name / "pytorch_model.bin").write_bytes(b"1")
    assert start().worked == []
    assert sorted(path for path in step.rglob("*")) == before
    assert not list(start.folder.glob(".*.part"))


def test_a_first_write_that_was_killed_does_not_make_other_files_ours(start):
    start.folder.mkdir()
    (start.folder / ".thesis.tex.1.part").write_text("years of work")
    with pytest.raises(RunFolderError, match=r"must be new, empty or an earlier run"):
        start()


@contextlib.contextmanager
def largest_file(size: int):
    """No file of this process may grow beyond so many bytes: the system refuses as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_wherever_it_strikes_and_the_run_goes_on_afterwards(start):
    start(out="whole")
    said = set()
    for size in (10, 1_000, 3_000, 30_000, 100_000):
        with (
            largest_file(size),
            pytest.raises(ResourceError, match=r"must have room for .* same command") as error,
        ):
            start(save_steps=1)
        said.add(str(error.value))
    assert len(said) > 2, "in several places"
    start(save_steps=1)
    assert not [path for path in start.folder.rglob(".*") if path.name != ".lock"]
    one, two = (start.folder.parent / name / "student" / "model.safetensors" for name in ("run", "whole"))
    assert one.read_bytes() == two.read_bytes()


def test_a_run_folder_that_is_removed_while_it_is_used_is_said(start):
    class Removing(Seen):
        def trained(self, stage, report):
            shutil.rmtree(start.folder / "steps")

    with pytest.raises(ResourceError, match=r"must stay where it is while it is used, got none at .*steps"):
        start(Removing())
    assert start().worked == ALL


@pytest.fixture
def listened_to(number):
    """A signal that the tests themselves may have been started to ignore, as under nohup."""
    before = signal.signal(number, signal.default_int_handler)
    yield
    signal.signal(number, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_an_interruption_in_the_last_step_is_heard(start, number, listened_to):
    start(out="whole")
    with pytest.raises(Interrupted, match="after step 4 of 4"):
        start(Stopping("student", 4, number))
    second = start()
    assert (second.taken, second.worked) == (["rows", "baseline"], ["student", "evaluation"])
    assert metrics_of(start.folder) == metrics_of(start.folder.parent / "whole")
    one, two = (start.folder.parent / name / "student" / "model.safetensors" for name in ("run", "whole"))
    assert one.read_bytes() == two.read_bytes()


def test_differences_are_paths_with_both_values():
    there = {"a": 1, "b": [{"c": 2}, {"d": 3}], "e": 4}
    here = {"a": 1, "b": [{"c": 5}], "f": 6}
    assert differences(there, here) == [
        ("b.0.c", "2", "5"), ("b.1.d", "3", "unset"), ("e", "4", "unset"), ("f", "unset", "6")
    ]  # fmt: skip
