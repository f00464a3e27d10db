"""Names from other trainers: each leads to what is written here."""

import pytest

from limbeck.core.errors import ConfigError
from limbeck.recipes.aliases import ALIASES, INSTEAD
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Train
from limbeck.runs.checking.trackers import check_trackers
from limbeck.runs.resolve import resolve

GIVEN = {"teacher": "T", "student": "S", "data": "d.jsonl"}


def problem(**inputs: object) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve("word_kd", {**GIVEN, **inputs})
    (found,) = caught.value.problems
    return str(found)


def in_a_file(**fields: object) -> str:
    data = resolve("word_kd", GIVEN).to_data()
    data["steps"][2]["train"] |= fields
    with pytest.raises(ConfigError) as caught:
        Recipe.from_data(data)
    (found,) = caught.value.problems
    return str(found)


@pytest.mark.parametrize("word", sorted(INSTEAD))
def test_a_field_that_is_none_here_is_answered_with_what_to_write(word):
    assert word not in Train.model_fields and word not in ALIASES
    assert problem(**{word: 1}) == f"{word}: unknown key '{word}'. {INSTEAD[word]}"
    assert in_a_file(**{word: 1}) == f"steps.2.train.{word}: unknown key '{word}'. {INSTEAD[word]}"


@pytest.mark.parametrize(
    ("word", "here"),
    [
        ("lr", "learning_rate"),
        ("batch_size", "per_device_train_batch_size"),
        ("max_seq_length", "max_length"),
        ("lora_rank", "lora_r"),
    ],
)
def test_a_field_of_another_name_is_answered_with_its_name_here(word, here):
    assert problem(**{word: 1}).endswith(f"Did you mean '{here}'?")
    assert in_a_file(**{word: 1}).endswith(f"Did you mean '{here}'?")


USUAL = """
    optim save_total_limit label_smoothing_factor neftune_noise_alpha dataloader_num_workers fp16 bf16
    resume_from_checkpoint warmup_steps eval_strategy eval_steps weight_decay adam_beta1 adam_beta2
    adam_epsilon max_grad_norm num_train_epochs max_steps lr_scheduler_type warmup_ratio logging_steps
    save_steps save_strategy seed report_to gradient_checkpointing load_best_model_at_end run_name
    push_to_hub remove_unused_columns per_device_eval_batch_size data_seed output_dir
"""


@pytest.mark.parametrize("word", USUAL.split())
def test_a_usual_argument_of_the_trainer_works_or_is_answered(word):
    assert word in Train.model_fields or word in INSTEAD or word in ALIASES


def test_what_is_advised_for_measuring_while_training_is_taken():
    watch = {"rows": "rows.validation", "every": 100}
    given = {
        "steps.rows.validation": 0.05,
        "steps.student.validation": watch,
        "steps.evaluation.batch_size": 8,
    }
    made = resolve("word_kd", {**GIVEN, **given})
    assert made.steps[2].validation.every == 100 and made.steps[3].batch_size == 8


@pytest.mark.parametrize("given", ["wandb", ["wandb"], " wandb "])
def test_a_tracker_is_a_word_or_a_list(given):
    trained = resolve("word_kd", {**GIVEN, "report_to": given}).steps[2]
    assert trained.report_to == ("wandb",)
    assert resolve("word_kd", {**GIVEN, "report_to": "none"}).steps[2].report_to == ()
    assert resolve("word_kd", {**GIVEN, "report_to": "wandb, mlflow"}).steps[2].report_to == (
        "wandb",
        "mlflow",
    )


def test_trackers_that_nobody_has_or_that_are_not_installed_are_refused():
    assert "must be among aim, clearml" in problem(report_to=["nonsense"])
    assert "must be among aim, clearml" in in_a_file(report_to=["nonsense"])
    with pytest.raises(ConfigError, match=r"got dvclive, .* Run `pip install dvclive`"):
        check_trackers(["dvclive"])
    check_trackers([])


@pytest.mark.parametrize("changed", [{"save_steps": 0}, {"seed": -1}])
def test_numbers_without_meaning_are_refused(changed):
    assert "must be greater than or equal to" in problem(**changed)
    assert resolve("word_kd", {**GIVEN, "save_steps": None}).steps[2].save_steps is None
