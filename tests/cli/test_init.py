"""`limbeck init`: a recipe that fits models and rows, with reasons, and that plans without an error."""

import pytest

from limbeck.recipes import Recipe
from limbeck.runs import execute
from tests.runs.world import WORDS, write_rows


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch):
    def started(*arguments):
        raise AssertionError("a step was started")

    monkeypatch.setattr(execute, "_work", started)


@pytest.fixture(scope="module")
def rows(world):
    texts = [" ".join(WORDS[(n * k) % len(WORDS)] for k in range(4, 16)) for n in range(1, 25)]
    turns = ({"role": "user", "content": text[:20]} for text in texts)
    write_rows(
        world / "chat.jsonl",
        [
            {"messages": [turn, {"role": "assistant", "content": text[20:]}]}
            for turn, text in zip(turns, texts, strict=True)
        ],
    )
    write_rows(world / "prompts.jsonl", [{"prompt": text[:20]} for text in texts])
    return world


@pytest.mark.parametrize(
    ("teacher", "student", "data", "name", "objective"),
    [
        ("teacher", "student", "answers", "word_kd", "forward_kl"),
        ("teacher", None, "texts", "word_kd", "forward_kl"),
        ("teacher", "other", "answers", "alm", "alm"),
        ("bert", None, "labels", "cost_effective", "cross_entropy"),
        ("bert", None, "texts", "minilm", "relation_kl"),
        ("masked", None, "labels", "cost_effective", "cross_entropy"),
        ("masked", "masked", "texts", "word_kd", "forward_kl"),
        ("t5", "t5", "answers", "word_kd", "forward_kl"),
        ("teacher", "t5", "answers", "seq_kd", "cross_entropy"),
        ("teacher", "student", "chat", "word_kd", "forward_kl"),
        ("teacher", "student", "prompts", "prompts", "forward_kl"),
    ],
)
def test_the_recipe_fits(limbeck, rows, tmp_path, teacher, student, data, name, objective):
    words = [f"teacher={rows / teacher}", f"data={rows / data}.jsonl"]
    words += [] if student is None else [f"student={rows / student}"]
    ended = limbeck("init", *words)
    assert ended.code == 0, ended.err
    assert f"wrote mine.yaml, a recipe like {name}." in ended.out
    recipe = Recipe.from_yaml((tmp_path / "mine.yaml").read_text())
    trained = [step for step in recipe.steps if step.kind == "train"]
    assert objective in [term.name for term in trained[-1].objective]


def test_the_file_is_one_that_plan_takes(limbeck, rows):
    words = (f"teacher={rows / 'teacher'}", f"student={rows / 'student'}", f"data={rows / 'prompts'}.jsonl")
    assert limbeck("init", *words).code == 0
    planned = limbeck("plan", "mine.yaml")
    assert planned.code == 0, planned.err
    assert "3 train student" in planned.out


def test_each_choice_has_a_comment_at_its_step(limbeck, rows, tmp_path):
    out = tmp_path / "first.yaml"
    words = (f"teacher={rows / 'teacher'}", f"student={rows / 'student'}", f"data={rows / 'answers'}.jsonl")
    assert limbeck("init", *words, "--out", out).code == 0
    lines = out.read_text().splitlines()
    assert lines[0].startswith("# teacher: causal, 48,352 parameters")
    place = lines.index("      out: student")
    above = "\n".join(lines[lines.index("      out: baseline") : place])
    for setting in ("learning_rate", "num_train_epochs", "per_device_train_batch_size", "max_length"):
        assert f"  # {setting}: " in above
    assert "  # One tokenizer: the student learns the teacher's distribution at every token." in lines


def test_it_asks_for_what_was_not_given_where_somebody_can_answer(limbeck, rows, monkeypatch, tmp_path):
    asked = []

    def answer(question):
        asked.append(question)
        return "" if "Student" in question else str(rows / "teacher")

    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    ended = limbeck("init", f"data={rows / 'texts'}.jsonl")
    assert ended.code == 0, ended.err
    assert [question.split()[0] for question in asked] == ["Teacher", "Student"]
    assert "{cut: " in (tmp_path / "mine.yaml").read_text()


def test_mistakes_are_named_at_once_and_nothing_is_overwritten(limbeck, rows, tmp_path):
    (tmp_path / "mine.yaml").write_text("kept")
    ended = limbeck("init", f"teecher={rows / 'teacher'}")
    assert (ended.code, ended.errors) == (2, [
        "error: teecher: unknown key 'teecher'. Did you mean 'teacher'?",
        "error: --out: must be a new file, got mine.yaml, which exists. Choose another.",
        "error: init: needs teacher and data. For example: limbeck init teacher=DIR_OR_ID student=DIR_OR_ID "
        "data=FILE",
    ])  # fmt: skip
    assert (tmp_path / "mine.yaml").read_text() == "kept"


def test_models_and_rows_that_no_recipe_takes_are_refused(limbeck, rows):
    ended = limbeck("init", f"teacher={rows / 'bert'}", f"data={rows / 'answers'}.jsonl")
    assert ended.code == 2
    assert "data: must be rows that a recipe can train these models on, got prompt+completion" in ended.err
