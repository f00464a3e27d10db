"""Mistakes around rollouts, schedules, watches and domains: each is said before anything starts."""

# ruff: noqa: E501  (messages are written out whole)

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
def errors(limbeck, world):
    """The errors of `limbeck run RECIPE` with something wrong."""

    def run(recipe, *pairs, teacher="teacher", student="student", data="answers.jsonl"):
        places = {"teacher": world / teacher, "student": world / student, "data": world / data}
        words = dict(pair.split("=", 1) for pair in pairs)
        ended = limbeck("run", recipe, *(f"{key}={value}" for key, value in (SMALL | places | words).items()))
        assert ended.code == 2, ended
        assert "Traceback" not in ended.err
        return ended.errors

    return run


@pytest.fixture
def file_errors(limbeck, world, tmp_path):
    """The errors of `limbeck run mine.yaml` with this train step."""

    def run(train, data="answers.jsonl", load=""):
        (tmp_path / "mine.yaml").write_text(
            "limbeck: 1\nname: mine\nsteps:\n"
            f"  - load: {{out: rows, path: {world / data}, heldout: 4{load}}}\n"
            f"  - train: {{out: student, student: {world / 'student'}, rows: rows.train, max_length: 48, {train}}}\n"
        )
        ended = limbeck("run", "mine.yaml")
        assert ended.code == 2, ended
        assert "Traceback" not in ended.err
        return ended.errors

    return run


def test_a_hyperparameter_that_the_objective_does_not_have(file_errors, world):
    teacher = f"teacher: {world / 'teacher'}"
    (said,) = file_errors(
        f"{teacher}, objective: [{{name: jsd, bta: {{schedule: linear, start: 0, stop: 1}}}}]"
    )
    assert said.startswith(
        "error: steps.1.train.objective.0: jsd: unknown hyperparameter 'bta'. Did you mean 'beta'?"
    )


def test_a_hyperparameter_outside_its_range(errors):
    assert errors("gkd", "beta=1.5") == ["error: beta: must be less than or equal to 1, got 1.5."]


def test_a_schedule_that_leaves_the_range_of_its_hyperparameter(file_errors, world):
    (said,) = file_errors(
        f"teacher: {world / 'teacher'}, objective: [{{name: jsd, beta: {{schedule: linear, start: 0.5, stop: 1.5}}}}]"
    )
    assert said.startswith(
        "error: steps.1.train.objective.0.jsd: beta must lie in (0, 1), both ends excluded, got 1.5"
    )


def test_rollouts_longer_than_the_context(errors):
    (said,) = errors("gkd", "max_new_tokens=250")
    assert said.startswith("error: steps.2.train.rollouts.max_new_tokens: must be at most 2")
    assert "and the models 256 positions, got 250. Shorten completions or prompts." in said


def test_a_teacher_with_other_ids(errors):
    (said,) = errors("on_policy", student="other")
    assert said.startswith("error: steps.2.train.teacher: student and teacher must")
    assert "300 and 320 tokens" in said


def test_policy_gradient_without_rollouts(file_errors):
    assert file_errors("objective: [policy_gradient]") == [
        "error: steps.1.train.objective.0: policy_gradient reads advantages and sampled_log_probs: give the step "
        "rollouts with advantages."
    ]


def test_importance_without_rollouts(file_errors):
    assert file_errors("objective: [{name: cross_entropy, weighted_by: importance}]") == [
        "error: steps.1.train.objective.0.weighted_by: importance compares with who wrote: give the step rollouts."
    ]


def test_a_group_that_rollouts_do_not_have(file_errors):
    (said,) = file_errors("objective: [{name: cross_entropy, on: rationale}], rollouts: {student: 0.5}")
    assert said == (
        "error: steps.1.train.objective.0.on: must be one of data, student, teacher, corpus, got on: rationale "
        "with task: default."
    )


def test_held_out_rows_in_a_watch(file_errors):
    assert file_errors("objective: [cross_entropy], validation: {rows: rows.heldout}") == [
        "error: steps.1.train.validation.rows: must not be held-out rows, got 'rows.heldout'. Take rows.validation."
    ]


def test_a_watch_without_validation_rows(errors):
    (said,) = errors("distillm", "validation=0")
    assert said.startswith(
        "error: steps.2.train.validation.rows: has no rows, because steps.0.load.validation is 0."
    )


def test_a_share_that_watches_what_no_one_measures(file_errors, world):
    share = "{schedule: adaptive_share}"
    (said,) = file_errors(
        f"teacher: {world / 'teacher'}, objective: [forward_kl], rollouts: {{student: {share}, draw: step}}"
    )
    assert said == (
        "error: steps.1.train.rollouts.student: monitors validation_loss, which this step does not measure: add "
        "validation: {rows: rows.validation}."
    )


def test_a_share_has_no_term_of_its_own_to_watch(file_errors, world):
    share = "{schedule: adaptive_interpolation}"
    (said,) = file_errors(
        f"teacher: {world / 'teacher'}, objective: [forward_kl], rollouts: {{student: {share}}}"
    )
    assert said == (
        "error: steps.1.train.rollouts.student: monitors own, which this step does not measure: take one of "
        "forward_kl, loss."
    )


def test_a_teacher_that_is_to_write_and_is_not_there(file_errors):
    assert file_errors("objective: [cross_entropy], rollouts: {student: 0.5, teacher: 0.5}") == [
        "error: steps.1.train.rollouts: lets a teacher write or judge: give the step a teacher."
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("student: 0.8, teacher: 0.5", "student + teacher must be at most 1, got 1.3."),
        ("student: 1.5", "student must lie in [0, 1], got 1.5."),
        ("student: 0.0", "must have a share of student or teacher above 0; else leave rollouts out."),
        ("replay: {capacity: 9}", "replay goes with draw: step, as in DistiLLM."),
        (
            "draw: step, replay: {capacity: 9}, advantages: {}",
            "replay and advantages exclude each other: an older student wrote what is kept.",
        ),
        (
            "corrections: 1, advantages: {}",
            "corrections and advantages exclude each other: the student did not draw them.",
        ),
        ("student: 0.5, round: {prompts: 4}", "round goes with student: 1.0 and without replay."),
    ],
)
def test_settings_that_do_not_go_together(file_errors, settings, message):
    assert file_errors(f"objective: [cross_entropy], rollouts: {{{settings}}}") == [
        f"error: steps.1.train.rollouts: {message}"
    ]


def test_a_column_of_domains_that_is_not_there(errors):
    said = errors("ddk", "domain=domian", "validation=6", data="domains.jsonl")
    assert said == [
        f"error: steps.2.train.{place}: must name a column of rows.{part}, got 'domian'. Did you mean 'domain'?"
        for place, part in (("domains.column", "train"), ("validation.perplexities_by", "validation"))
    ]


def test_a_domain_that_no_one_watches(errors, world):
    rows = [{"text": f"the cat {n}", "domain": "rare" if n == 1 else "often"} for n in range(30)]
    write_rows(world / "rare.jsonl", rows)
    said = errors("ddk", "validation=2", data="rare.jsonl")
    assert said == [
        "error: steps.2.train.validation.rows: must have rows of every domain, got none of rare. Set a larger validation "
        "part, or take rows of that domain out."
    ]


def test_a_student_that_is_no_causal_model(errors):
    said = errors("gkd", teacher="bert", student="bert", data="texts.jsonl")
    assert "error: steps.2.train.rollouts: needs a causal student, got encoder. Leave it out." in said


def test_greedy_completions_are_not_judged_as_if_they_were_drawn(errors):
    (said,) = errors("on_policy", "sampling_temperature=0")
    assert "rollouts.sampling_temperature: must be above 0 where sampled tokens are judged, got 0" in said
