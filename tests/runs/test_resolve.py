"""Words and key=value inputs become one recipe, or one list of everything that is wrong."""

# ruff: noqa: E501  (messages are written out whole)

import pytest

from limbeck.core.errors import ConfigError
from limbeck.recipes import Evaluate, Recipe, Train, word_kd
from limbeck.runs.overrides import overridden
from limbeck.runs.resolve import parse_pairs, resolve

GIVEN = ("teacher=T", "student=S", "data=d.jsonl")


def resolved(recipe, *pairs) -> Recipe:
    return resolve(recipe, parse_pairs(pairs))


def problems(recipe, *pairs) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        resolved(recipe, *pairs)
    return [str(problem) for problem in caught.value.problems]


def trained(recipe: Recipe) -> list[Train]:
    return [step for step in recipe.steps if isinstance(step, Train)]


def test_inputs_are_those_of_the_function():
    assert resolved("word_kd", *GIVEN, "max_steps=3") == word_kd(
        teacher="T", student="S", data="d.jsonl", max_steps=3
    )


def test_a_setting_of_training_applies_to_every_train_step():
    steps = trained(resolved("word_kd", *GIVEN, "bf16=true", "save_steps=7"))
    assert [(step.bf16, step.save_steps) for step in steps] == [(True, 7), (True, 7)]


def test_how_rows_are_read_applies_to_every_step_that_reads_them():
    made = resolved("sft", "student=S", "data=d.jsonl", "loss_on=last_assistant", "max_length=77")
    read = [(step.loss_on, step.max_length) for step in made.steps if isinstance(step, Train | Evaluate)]
    assert set(read) == {("last_assistant", 77)} and len(read) >= 2
    data = resolved("word_kd", *GIVEN).to_data()
    data["steps"].insert(1, {"capture": {"out": "said", "teacher": "T", "rows": "rows.train"}})
    changed, _ = overridden(data, {"loss_on": "all", "max_length": 9}, {})
    kinds = {next(iter(step)): next(iter(step.values())) for step in changed["steps"]}
    for kind in ("capture", "train", "evaluate"):
        assert (kinds[kind]["loss_on"], kinds[kind]["max_length"]) == ("all", 9)
    assert "loss_on" not in kinds["load"]


def test_an_evaluation_that_reads_otherwise_than_its_student_was_trained_is_told():
    recipe = resolved("word_kd", *GIVEN)
    *earlier, measured = recipe.steps
    assert list(measured.read_otherwise(earlier)) == []
    other = measured.model_copy(update={"max_length": 1024, "loss_on": "all"})
    loss_on, length = other.read_otherwise(earlier)
    assert loss_on.startswith("Measured with loss_on all, and student is trained with all_assistant")
    assert length.endswith("Write max_length=512 for all steps.")
    folder = measured.model_copy(update={"model": "elsewhere", "max_length": 9})
    assert list(folder.read_otherwise(earlier)) == []


def test_a_dotted_path_changes_one_field_of_one_step():
    steps = trained(
        resolved("word_kd", *GIVEN, "steps.2.train.max_steps=9", "steps.2.train.objective.1.weight=2")
    )
    assert [step.max_steps for step in steps] == [-1, 9]
    assert [term.weight for term in steps[1].objective] == [0.5, 2.0]


def test_a_step_is_named_by_its_out_with_or_without_its_kind():
    changed = ("steps.student.max_steps=9", "steps.baseline.train.max_steps=7", "steps.rows.limit=30")
    recipe = resolved("word_kd", *GIVEN, *changed, "steps.evaluation.prompts=4", "steps.2.lora_r=2")
    assert [step.max_steps for step in trained(recipe)] == [7, 9]
    assert [step.lora_r for step in trained(recipe)] == [0, 2]
    assert (recipe.steps[0].limit, recipe.steps[3].prompts) == (30, 4)


def test_paths_that_lead_nowhere_are_named_with_the_steps_there_are():
    assert problems(
        "word_kd", *GIVEN, "steps.studnet.max_steps=9", "steps.student=9", "steps.student.train=9",
        "steps.student.load.limit=9", "steps.student.objective.7.weight=1", "name.x=1",
    ) == [
        "steps.studnet.max_steps: unknown step 'studnet'. There are: 0 rows, 1 baseline, 2 student, 3 evaluation.",
        "steps.student: must name a step and a field, for example steps.student.max_steps=10.",
        "steps.student.train: must name a field, for example steps.student.out.",
        "steps.student.load.limit: step 2 is `train` student, got 'load'.",
        "steps.student.objective.7.weight: must name an item by a number from 0 to 1, got '7'.",
        "name.x: has no fields, got 'x'.",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("lr", "unknown key 'lr'. Did you mean 'learning_rate'?"),
        ("batch_size", "unknown key 'batch_size'. Did you mean 'per_device_train_batch_size'?"),
        ("epochs", "unknown key 'epochs'. Did you mean 'num_train_epochs'?"),
        ("rate", "unknown key 'rate'. Did you mean 'learning_rate'?"),
        ("out", "is no input. Write --out FOLDER."),
        (
            "limit",
            "is not an input of word_kd; set it on a step: steps.rows.limit=... or steps.evaluation.limit=...",
        ),
    ],
)
def test_names_of_other_programs_are_answered_with_the_name_here(given, said):
    assert problems("word_kd", *GIVEN, f"{given}=1") == [f"{given}: {said}"]


def test_an_input_may_be_given_in_parts():
    recipe = resolved(
        "word_kd", "teacher=T", "student.cut=T", "student.layers=[0, 2]", "data=d", "columns.prompt=q"
    )
    assert recipe.steps[1].student.layers == (0, 2)
    assert recipe.steps[0].columns == {"prompt": "q"}


def test_a_recipe_file_takes_the_same_overrides(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(resolved("word_kd", *GIVEN).to_yaml())
    recipe = resolved(str(path), "learning_rate=1e-3", "steps.3.evaluate.prompts=4")
    assert [step.learning_rate for step in trained(recipe)] == [1e-3, 1e-3]
    assert isinstance(recipe.steps[3], Evaluate)
    assert recipe.steps[3].prompts == 4


def test_numbers_and_words_of_the_command_line_are_yaml():
    assert parse_pairs(["a=1e-4", "b=true", "c=[1, 2]", "d=x=y", "--e=null"]) == {
        "a": 1e-4, "b": True, "c": [1, 2], "d": "x=y", "e": None
    }  # fmt: skip


def test_wrong_words_of_the_command_line_are_all_named():
    with pytest.raises(ConfigError) as caught:
        parse_pairs(["a", "b=1", "b=2", "c=[", "--d", "e="])
    assert [str(problem) for problem in caught.value.problems] == [
        "a: must be key=value, for example max_steps=100.",
        "b: is given twice: 1 and '2'. Keep one.",
        "c: must be YAML; line 1, column 2: expected the node content, but found '<stream end>'.",
        "--d: is no option here; settings are written key=value. See --help.",
        "e: must have a value, got nothing; write key=null for none.",
    ]


def test_missing_inputs_are_named_at_once_with_a_command_that_works():
    assert problems("word_kd") == [
        "word_kd: needs teacher, student, data. For example: limbeck run word_kd teacher=Qwen/Qwen3-4B "
        "student=Qwen/Qwen3-0.6B data=train.jsonl"
    ]


def test_everything_wrong_with_inputs_settings_and_paths_is_named_at_once():
    assert problems(
        "word_kd", *GIVEN, "max_step=3", "learning_rate=-1", "kd_ratio=2", "bf16=maybe", "prompts=4",
        "steps.1.train.rowz=4", "steps.9.train.x=3", "steps.0.train.x=1", "stepz.1.x=1",
    ) == [
        "bf16: must be true or false, got 'maybe'.",
        "kd_ratio: must be less than or equal to 1, got 2.",
        "learning_rate: must be auto or a number above 0, got -1.",
        "max_step: unknown key 'max_step'. Did you mean 'max_steps'?",
        "prompts: is not an input of word_kd; set it on a step: steps.evaluation.prompts=...",
        "steps.9.train.x: unknown step '9'. There are: 0 rows, 1 baseline, 2 student, 3 evaluation.",
        "steps.0.train.x: step 0 is `load` rows, got 'train'.",
        "stepz.1.x: unknown key 'stepz'. Did you mean 'steps'?",
        "steps.1.train.rowz: unknown key 'rowz'. Did you mean 'rows'?",
    ]  # fmt: skip


def test_an_unknown_recipe_is_answered_with_the_nearest():
    assert problems("wordkd") == [
        "unknown recipe 'wordkd'. Did you mean 'word_kd'? A recipe file ends with .yaml; see `limbeck list recipes`."
    ]


def test_a_missing_recipe_file_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "mine.yaml").write_text("")
    assert problems(str(tmp_path / "mien.yaml")) == [
        f"recipe must be an existing file, got {tmp_path / 'mien.yaml'}. Did you mean 'mine.yaml'?"
    ]


def test_checks_between_steps_are_made_on_the_changed_recipe():
    assert problems("word_kd", *GIVEN, "steps.1.train.rows=rows.trian") == [
        "steps.1.train.rows: must be rows.train, rows.validation or rows.heldout, got 'rows.trian'."
    ]


def test_data_in_several_places_is_refused_with_what_to_do():
    with pytest.raises(
        ConfigError, match=r"data: must be one file, .* got a list of 2\. Put the files into one"
    ):
        resolve("word_kd", {"teacher": "T", "student": "S", "data": ["a.jsonl", "b.jsonl"]})
    with pytest.raises(ConfigError, match=r"steps\.0\.load\.path: must be one file"):
        Recipe.from_data(
            {"limbeck": 1, "name": "r", "steps": [{"load": {"out": "rows", "path": ["a.jsonl", "b.jsonl"]}}]}
        )
