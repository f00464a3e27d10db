"""Answers of chat models whose turns end with another token than their texts: they end there, everywhere."""

import json
from itertools import pairwise

import pytest
from datasets import load_from_disk
from transformers import AutoModelForCausalLM

import limbeck
from limbeck.core.errors import UserError
from limbeck.core.models import save_model
from limbeck.recipes import gkd, seq_kd, sft
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.on_policy import changed
from tests.runs.world import write_rows
from tests.tiny import EOS, tiny_chain, tiny_llama, tiny_tokenizer

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<end_of_turn>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SIZE = 323


@pytest.fixture(scope="module")
def chat(tmp_path_factory):
    """A teacher that says " dog and" and ends its turn, but goes on if it is let."""
    folder = tmp_path_factory.mktemp("chat")
    tokenizer = tiny_tokenizer()
    marks = ["<end_of_turn>", "<|user|>", "<|assistant|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    tokenizer.chat_template = TEMPLATE
    end, user, assistant = tokenizer.convert_tokens_to_ids(marks)
    words = tokenizer(" dog and", add_special_tokens=False)["input_ids"]
    path = [assistant, *words, end, user, words[0]]
    following = dict(pairwise(path))
    for name in ("teacher", "student"):
        save_model(tiny_chain(following, vocab=SIZE), tokenizer, folder / name)
        # As with a base model that was given a template: nothing but the template names the end of a turn.
        settings = folder / name / "generation_config.json"
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"eos_token_id": EOS}))
    turns = [{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}]
    write_rows(folder / "rows.jsonl", [{"messages": turns, "n": n, "heldout": n > 3} for n in range(6)])
    return folder, [*words, end]


def inputs(folder, **more):
    small = {"max_steps": 1, "per_device_train_batch_size": 4, "max_length": 32, "learning_rate": 1e-6}
    models = {name: str(folder / name) for name in ("teacher", "student")}
    return {
        **models,
        "data": str(folder / "rows.jsonl"),
        "baseline": False,
        "max_new_tokens": 9,
        **small,
        **more,
    }


def test_rows_of_a_teacher_and_an_evaluation_end_with_the_turn(chat, tmp_path):
    folder, answer = chat
    recipe = seq_kd(**inputs(folder, sampling_temperature=0.0))
    recipe = changed(recipe, "evaluation", metrics=("generation",))
    done = limbeck.run(recipe, tmp_path / "run", progress=Silent())
    (written,) = (tmp_path / "run" / "steps").glob("*generate*/rows")
    rows = load_from_disk(str(written))
    assert [row["messages"][-1]["content"] for row in rows] == [" dog and"] * len(rows)
    assert all(rows["finished"])
    found = done.evaluation["metrics"]["generation"]["subjects"]
    for name in ("teacher", "student"):
        assert found[name]["stopped"]["value"] == 1.0
        assert found[name]["length"]["value"] == len(answer) - 1
    student = AutoModelForCausalLM.from_pretrained(done.student)
    assert student.generation_config.eos_token_id == [EOS, answer[-1]]


def test_rollouts_end_with_the_turn(chat, tmp_path):
    folder, answer = chat
    recipe = gkd(**inputs(folder, on_policy=1.0, sampling_temperature=0.01))
    recipe = recipe.model_copy(update={"steps": recipe.steps[:-1]})
    limbeck.run(recipe, tmp_path / "run", progress=Silent())
    (line,) = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    prompt = len(tiny_tokenizer()("one", add_special_tokens=False)["input_ids"]) + 3
    assert json.loads(line)["tokens"] == 4 * (prompt + len(answer))


def test_a_plan_says_where_answers_end(chat, tmp_path):
    folder, answer = chat
    for recipe in (seq_kd(**inputs(folder)), gkd(**inputs(folder))):
        plan, _ = make_plan(recipe, tmp_path)
        said = {step.kind: step.notes for step in plan.steps}
        sentence = f"Answers end at </s> ({EOS}) or <end_of_turn> ({answer[-1]})."
        writing = "generate" if recipe.name == "seq_kd" else "train"
        assert sentence in said[writing] and sentence in said["evaluate"]


def made(folder, *, words, positions=32):
    """A model with few positions, and rows whose prompts have these many words."""
    model = tiny_llama(layers=1, max_position_embeddings=positions)
    save_model(model, tiny_tokenizer(), folder / "small")
    prompts = ["the cat " * count for count in words]
    rows = [{"prompt": one, "completion": " sat", "heldout": n % 2 == 0} for n, one in enumerate(prompts)]
    write_rows(folder / "rows.jsonl", rows)
    return {"student": str(folder / "small"), "data": str(folder / "rows.jsonl")}


def problems_of(recipe, folder):
    with pytest.raises(UserError) as refused:
        make_plan(recipe, folder)
    return [str(problem) for problem in refused.value.problems]


def test_an_evaluation_passes_over_prompts_that_leave_no_room_and_says_so(tmp_path):
    places = made(tmp_path, words=[1, 1, 11, 1, 2, 1])
    recipe = sft(**places, max_steps=1, max_length=32, learning_rate=1e-6)
    recipe = changed(recipe, "evaluation", metrics=("generation",), max_new_tokens=12)
    plan, _ = make_plan(recipe, tmp_path)
    sentence = "1 held-out prompts of more than 20 tokens are passed over"
    assert any(note.startswith(sentence) for note in plan.steps[-1].notes)
    done = limbeck.run(recipe, tmp_path / "run", progress=Silent())
    found = done.evaluation["metrics"]["generation"]
    assert (found["prompts"], found["passed_over"]) == (2, 1)


def test_an_evaluation_in_which_no_prompt_leaves_room_is_refused_before_anything_starts(tmp_path):
    places = made(tmp_path, words=[11, 1, 11, 1])
    recipe = changed(sft(**places, max_steps=1, max_length=32), "evaluation", max_new_tokens=20)
    (said,) = problems_of(recipe, tmp_path)
    assert "max_new_tokens: must leave room for a held-out prompt" in said and "got 20" in said


def test_prompts_that_a_teacher_cannot_answer_are_refused_before_anything_starts(tmp_path):
    places = made(tmp_path, words=[1, 11, 1, 1])
    recipe = seq_kd(teacher=places["student"], **places, max_steps=1, max_length=32, max_new_tokens=20)
    said = problems_of(recipe, tmp_path)
    assert any("its prompt must be shorter than max_length 12" in one for one in said)
