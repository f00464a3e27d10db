"""The step `select`: budgets, features by models and columns, classes, refusals, and what is kept."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import load_from_disk

import limbeck
from limbeck.core.errors import ConfigError, Interrupted
from limbeck.core.models import load_model, load_tokenizer
from limbeck.recipes import Recipe
from limbeck.recipes.check import check
from limbeck.rows.source import PaddedSource
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.world import make_world, write_rows


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    place = make_world(tmp_path_factory.mktemp("world"))
    texts = [json.loads(line)["text"] for line in (place / "texts.jsonl").read_text().splitlines()]
    rows = [
        {"prompt": text[:20].strip(), "completion": text[20:].strip(), "reward": n % 7, "topic": "ab"[n % 2]}
        for n, text in enumerate(texts)
    ]
    write_rows(place / "scored.jsonl", rows)
    return place


def recipe(world: Path, data: str = "scored", **fields) -> Recipe:
    steps = [
        {"load": {"out": "rows", "path": str(world / f"{data}.jsonl"), "heldout": 0}},
        {"select": {"out": "chosen", "rows": "rows.train", **fields}},
    ]
    return Recipe.from_data({"limbeck": 1, "name": "x", "steps": steps})


def chosen(world: Path, folder: Path, data: str = "scored", **fields):
    """The rows that a step takes, and its record."""
    run = limbeck.run(recipe(world, data, **fields), folder, progress=Silent())
    (step,) = run.folder.glob("steps/*-select-*")
    return load_from_disk(str(step / "rows")), json.loads((step / "selection.json").read_text())


def problems(world: Path, folder: Path, data: str = "scored", **fields) -> dict[str, str]:
    made = recipe(world, data, **fields)
    found = check(made)
    if not found:
        with pytest.raises(ConfigError) as error:
            make_plan(made, folder)
        found = list(error.value.problems)
    return {one.where.removeprefix("steps.1.select."): one.message for one in found}


def test_rows_come_unchanged_in_the_order_of_the_selector_with_their_scores(world, tmp_path):
    rows, record = chosen(world, tmp_path, selector="top_k", scores="reward", budget=4)
    assert rows["reward"] == [6, 6, 6, 5]
    assert set(rows.column_names) == {"id", "prompt", "completion", "reward", "topic"}
    assert [row["score"] for row in record["rows"]] == [6, 6, 6, 5]
    assert [row["id"] for row in record["rows"]] == rows["id"]
    assert (record["candidates"], record["selected"]) == (24, 4)


def test_a_share_is_of_the_rows_and_within_a_column_of_each_value_s(world, tmp_path):
    rows, _ = chosen(world, tmp_path / "a", selector="random", budget=0.25)
    assert len(rows) == 6
    rows, _ = chosen(world, tmp_path / "b", selector="top_k", scores="reward", budget=2, within="topic")
    assert rows["topic"] == [*"aabb"] and rows["reward"] == [6, 6, 6, 5]


def test_tokens_are_a_budget_that_is_never_exceeded(world, tmp_path):
    fields = {"unit": "tokens", "tokenizer": str(world / "teacher"), "selector": "length_order"}
    rows, record = chosen(world, tmp_path, budget=0.5, **fields)
    tokenizer = load_tokenizer(str(world / "teacher"))
    counts = [
        len(tokenizer(f"{row['prompt']}\n{row['completion']}", add_special_tokens=False)["input_ids"])
        for row in rows
    ]
    assert counts == sorted(counts) and record["selected_size"] == sum(counts)
    assert sum(counts) <= record["candidate_size"] / 2 < sum(counts) + 2 * max(counts)


def test_losses_are_those_that_the_model_itself_says(world, tmp_path):
    _, record = chosen(world, tmp_path, selector="top_k", model=str(world / "teacher"))
    found = {row["id"]: row["score"] for row in record["rows"]}
    rows = load_from_disk(str(next(tmp_path.glob("steps/*-load-*")) / "train"))
    model = load_model(str(world / "teacher"), "causal", dtype="auto").eval()
    tokenizer = load_tokenizer(str(world / "teacher"))
    for row in rows:
        prompt, answer = (
            tokenizer(text, add_special_tokens=False)["input_ids"]
            for text in (row["prompt"] + "\n", row["completion"])
        )
        ids = [*prompt, *answer, tokenizer.eos_token_id]
        labels = torch.tensor([[-100] * (len(ids) - len(answer) - 1) + [*answer, tokenizer.eos_token_id]])
        with torch.no_grad():
            expected = model(input_ids=torch.tensor([ids]), labels=labels).loss.item()
        assert found[row["id"]] == pytest.approx(expected, abs=1e-5)


def test_embeddings_are_means_of_the_last_states_and_kept_in_the_folder(world, tmp_path):
    chosen(world, tmp_path, selector="herding", model=str(world / "teacher"), text="prompt", batch_size=5)
    (part,) = tmp_path.glob("steps/*-select-*/features/vectors/*.npy")
    data = part.read_bytes().partition(b"\n")[2]
    (tmp_path / "plain.npy").write_bytes(data)
    kept = np.load(tmp_path / "plain.npy")
    np.testing.assert_allclose(np.linalg.norm(kept, axis=1), 1, atol=1e-6)
    rows = load_from_disk(str(next(tmp_path.glob("steps/*-load-*")) / "train"))
    longest = max(range(24), key=lambda row: len(rows["prompt"][row]))
    model = load_model(str(world / "teacher"), "causal", dtype="auto").eval()
    ids = load_tokenizer(str(world / "teacher"))(rows["prompt"][longest], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        mean = model.model(input_ids=ids).last_hidden_state.mean(1)[0]
    np.testing.assert_allclose(kept[0], mean / mean.norm(), atol=1e-5)


def test_a_killed_step_does_not_embed_its_rows_again(world, tmp_path, monkeypatch):
    fields = {"selector": "herding", "model": str(world / "teacher"), "budget": 3}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(Interrupted):
        patched.setattr("limbeck.runs.steps.select._record", killed)
        chosen(world, tmp_path, **fields)
    monkeypatch.setattr("limbeck.runs.assembly.features.vectors._embedder", lambda *_: killed)
    rows, _ = chosen(world, tmp_path, **fields)
    assert len(rows) == 3


def test_a_model_whose_answers_do_not_depend_on_the_prompt_has_ratio_1_everywhere(world, tmp_path):
    model = load_model(str(world / "teacher"), "causal", dtype="auto")
    torch.nn.init.zeros_(model.get_output_embeddings().weight)
    model.save_pretrained(tmp_path / "uniform")
    load_tokenizer(str(world / "teacher")).save_pretrained(tmp_path / "uniform")
    _, record = chosen(world, tmp_path / "run", selector="ifd", model=str(tmp_path / "uniform"))
    assert [row["score"] for row in record["rows"]] == pytest.approx([1.0] * 24, abs=1e-6)


@pytest.mark.parametrize(
    "fields", [{"dimension": 2048, "epochs": 1}, {"lora_r": 4, "lora_alpha": 8, "direction": "textbook"}]
)
def test_a_target_draws_the_rows_that_are_like_it(world, tmp_path, fields):
    # Half of the rows speak of the cat, half of a film; so does the target of the cat.
    def about(what: str, words: str, count: int) -> list[dict[str, object]]:
        return [
            {"prompt": f"{words[n % len(words) :]} {what} {n}", "completion": f"{words} {what}"}
            for n in range(count)
        ]

    write_rows(
        tmp_path / "rows.jsonl", about("film", "great sense", 12) + about("cat", "the dog on the mat", 12)
    )
    write_rows(tmp_path / "target.jsonl", about("cat", "the dog sat on the", 3))
    steps = [
        {"load": {"out": "rows", "path": str(tmp_path / "rows.jsonl"), "heldout": 0}},
        {"load": {"out": "like", "path": str(tmp_path / "target.jsonl"), "heldout": 0}},
        {
            "select": {
                "out": "chosen", "rows": "rows.train", "selector": "less", "budget": 8,
                "target": "like.train", "model": str(world / "student"),
                "warmup": {"share": 0.5, "epochs": 2, "dimension": 512, "learning_rate": 1e-3, **fields},
            }
        },
    ]  # fmt: skip
    made = Recipe.from_data({"limbeck": 1, "name": "x", "steps": steps})
    run = limbeck.run(made, tmp_path / "run", progress=Silent())
    rows = load_from_disk(str(next(run.folder.glob("steps/*-select-*")) / "rows"))
    assert sum("cat" in row["completion"] for row in rows) >= 7  # of 8; by chance 4


def test_classes_that_no_chosen_row_has_stay_classes(world, tmp_path):
    # The first rows have one label alone; held-out rows have all three.
    steps = [
        {"load": {"out": "rows", "path": str(world / "labels.jsonl"), "heldout": 8}},
        {"select": {"out": "chosen", "rows": "rows.train", "selector": "random", "budget": 1}},
        {
            "train": {
                "out": "student", "student": str(world / "bert"), "rows": "chosen", "max_steps": 1,
                "objective": [{"name": "cross_entropy"}], "learning_rate": 1e-3, "max_length": 32,
                "model_kind": "classifier",
            }
        },
        {
            "evaluate": {
                "model": "student", "rows": "rows.heldout", "metrics": ["classification"], "max_length": 32,
            }
        },
    ]  # fmt: skip
    made = Recipe.from_data({"limbeck": 1, "name": "x", "steps": steps})
    run = limbeck.run(made, tmp_path, progress=Silent())
    assert json.loads((run.student / "config.json").read_text())["id2label"] == {"0": "0", "1": "1", "2": "2"}


def test_what_is_missing_unread_or_too_much_is_refused_before_the_run(world, tmp_path):
    def said(**fields):
        return problems(world, tmp_path, **fields)

    assert (
        "must be at most 24, the rows of rows.train, got 30" in said(selector="random", budget=30)["budget"]
    )
    assert "a share below 1 or a whole number" in said(selector="random", budget=1.5)["budget"]
    assert "Say scores: COLUMN" in said(selector="top_k")["selector"]
    assert "Did you mean 'reward'?" in said(selector="top_k", scores="rewards")["scores"]
    assert "finite numbers, got topic with 'a'" in said(selector="top_k", scores="topic")["scores"]
    assert "must name a column of the rows" in said(selector="random", within="kind")["within"]
    assert "Leave it out" in said(selector="random", scores="reward")["scores"]
    assert "must name a model whose tokens" in said(selector="random", unit="tokens", budget=5)["tokenizer"]
    both = said(selector="top_k", scores="reward", model=str(world / "teacher"))
    assert "Leave one out" in both["scores"]
    bert = said(selector="top_k", model=str(world / "bert"))
    assert "has it score the rows, got" in bert["model"]
    assert (
        "must name rows that less compares with"
        in said(selector="less", model=str(world / "student"))["target"]
    )
    with pytest.raises(ConfigError, match=r"unknown selector 'k_centre'\. Did you mean 'k_center'"):
        recipe(world, selector="k_centre")
    with pytest.raises(ConfigError, match="unknown option 'frist'"):
        recipe(world, selector={"name": "k_center", "frist": 1})


def test_rows_of_plain_text_have_no_prompt_to_leave_out(world, tmp_path):
    found = problems(world, tmp_path, "texts", selector="ifd", model=str(world / "teacher"))
    assert "rows without a prompt" in found["selector"]
    found = problems(world, tmp_path, "texts", selector="herding", text="prompt")
    assert "which none has" in found["text"]


def test_nothing_within_the_settings_is_an_error_that_says_so(world, tmp_path):
    with pytest.raises(limbeck.core.errors.RowError, match="difficulty must take at least one row, got none"):
        chosen(world, tmp_path, selector={"name": "difficulty", "low": 99}, scores="reward")


def test_a_curriculum_reaches_the_training_where_its_order_is_given(world, tmp_path, monkeypatch):
    taken: list[str] = []
    collated = PaddedSource.batch

    def watched(self, indices):
        taken.extend(self.rows.row_ids[index] for index in indices)
        return collated(self, indices)

    monkeypatch.setattr(PaddedSource, "batch", watched)
    train = {
        "out": "student", "student": str(world / "student"), "rows": "chosen", "order": "given",
        "max_steps": 3, "per_device_train_batch_size": 4, "objective": [{"name": "cross_entropy"}],
        "learning_rate": 1e-3, "max_length": 64,
    }  # fmt: skip
    steps = [
        {"load": {"out": "rows", "path": str(world / "scored.jsonl"), "heldout": 0}},
        {"select": {"out": "chosen", "rows": "rows.train", "selector": "length_order", "budget": 12}},
        {"train": train},
    ]
    run = limbeck.run(
        Recipe.from_data({"limbeck": 1, "name": "x", "steps": steps}), tmp_path, progress=Silent()
    )
    record = json.loads(next(run.folder.glob("steps/*-select-*/selection.json")).read_text())
    assert taken == [row["id"] for row in record["rows"]]
    unread = {**train, "competence_start": 0.5}
    made = Recipe.from_data({"limbeck": 1, "name": "x", "steps": [*steps[:2], {"train": unread}]})
    assert "is read with order: competence, got given" in str(check(made)[0])


@pytest.mark.parametrize("label", [True, False])
def test_few_rows_are_chosen_labelled_and_learnt_beside_as_many_random_ones(world, tmp_path, label):
    run = limbeck.run(
        "dataset_distillation",
        teacher=str(world / "teacher"), student=str(world / "student"), data=str(world / "answers.jsonl"),
        heldout=6, budget=0.4, max_steps=2, max_length=48, learning_rate=1e-3, label=label,
        selector="herding", out=tmp_path, progress=Silent(),
    )  # fmt: skip
    made = {one.name.split("-", 2)[2]: one for one in run.folder.glob("steps/*")}
    sizes = [json.loads((made[out] / "selection.json").read_text()) for out in ("chosen", "drawn")]
    assert all(0.2 < one["selected_size"] / one["candidate_size"] <= 0.4 for one in sizes)
    assert [one["selector"] for one in sizes] == ["herding", {"name": "random", "seed": 0}]
    assert ("chosen_labels" in made) == ("drawn_labels" in made) == label
    lines = (made["student"] / "metrics.jsonl").read_text().splitlines()
    assert ("forward_kl" in json.loads(lines[-1])["terms"]) == label
    assert {"student", "baseline"} <= run.evaluation["metrics"]["perplexity"]["subjects"].keys()
