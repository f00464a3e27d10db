"""Teachers that read the rows in their own chat format: values by plain transformers, stores, ensembles."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import limbeck
from limbeck.core.errors import UserError
from limbeck.core.models import save_model
from limbeck.recipes import Recipe
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.runs.world import write_rows
from tests.tiny import tiny_llama, tiny_tokenizer

MARK = "<|turn_end|>"
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}" + MARK + "\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)
CONVERSATIONS = [
    ("one and two", "three and four"),
    ("the cat sat", "on the mat"),
    ("two", "seven"),
    ("a", "b"),
]


def tokenizer_with(template: str | None, end: str):
    tokenizer = tiny_tokenizer(vocab=310)
    tokenizer.add_special_tokens({"additional_special_tokens": [MARK]})
    tokenizer.chat_template, tokenizer.eos_token = template, end
    return tokenizer


@pytest.fixture(scope="module")
def formats(tmp_path_factory) -> Path:
    """A teacher that chats with a template, a student that has none, and rows."""
    folder = tmp_path_factory.mktemp("formats")
    save_model(tiny_llama(seed=1), tokenizer_with(TEMPLATE, MARK), folder / "teacher")
    save_model(tiny_llama(seed=2), tokenizer_with(None, "</s>"), folder / "student")
    rows = [
        {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]}
        for asked, said in CONVERSATIONS * 3
    ]
    write_rows(folder / "rows.jsonl", [row | {"number": n} for n, row in enumerate(rows)])
    return folder


def recipe(formats: Path, teacher, *, steps=(), **train) -> Recipe:
    start = {"out": "student", "student": str(formats / "student"), "teacher": teacher, "rows": "rows.train"}
    settings = {
        "objective": ["forward_kl"],
        "max_steps": 1,
        "per_device_train_batch_size": 12,
        "max_length": 64,
        "packing": False,
    }
    load = {"out": "rows", "path": str(formats / "rows.jsonl"), "heldout": 0}
    made = [{"load": load}, *steps, {"train": start | settings | train}]
    return Recipe.from_data({"limbeck": 1, "name": "formats", "steps": made})


def notes_of_plan(formats: Path, teacher: str, out: Path) -> list[str]:
    plan, _ = make_plan(recipe(formats, str(formats / teacher)), out)
    return [note for step in plan.steps for note in step.notes]


def first_loss(made: Recipe, out: Path) -> float:
    done = limbeck.run(made, out, progress=Silent())
    return json.loads((done.folder / "metrics.jsonl").read_text().splitlines()[0])["loss"]


@torch.no_grad()
def by_hand(formats: Path, *, own: bool) -> float:
    """Mean KL(teacher || student) over answer tokens and the end, from two plain forward passes a row."""
    models = [AutoModelForCausalLM.from_pretrained(formats / name) for name in ("student", "teacher")]
    tokenizer = AutoTokenizer.from_pretrained(formats / "teacher")
    end, mark = (tokenizer.convert_tokens_to_ids(token) for token in ("</s>", MARK))
    swapped = torch.arange(len(tokenizer))  # columns beyond are padding of the heads
    swapped[end], swapped[mark] = mark, end
    total, count = 0.0, 0
    for asked, said in CONVERSATIONS:
        plain = tokenizer(f"User:\n{asked}\n\nAssistant:\n", add_special_tokens=False)["input_ids"]
        marked = tokenizer(f"<|user|>\n{asked}{MARK}\n<|assistant|>\n", add_special_tokens=False)["input_ids"]
        answer = tokenizer(said, add_special_tokens=False)["input_ids"]
        prompts = (plain, marked if own else plain)
        logits = [
            model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 :, : len(tokenizer)]
            for model, prompt in zip(models, prompts, strict=True)
        ]
        teacher = logits[1][:, swapped] if own else logits[1]
        p, q = teacher.log_softmax(-1), logits[0].log_softmax(-1)
        total += float((p.exp() * (p - q)).sum())
        count += len(answer) + 1
    return total / count


def test_the_teacher_reads_its_own_format_and_its_end_of_turn_stands_for_the_students_end(formats, tmp_path):
    expected = by_hand(formats, own=True)
    assert abs(expected - by_hand(formats, own=False)) > 0.02
    assert first_loss(recipe(formats, str(formats / "teacher")), tmp_path / "run") == pytest.approx(
        expected, abs=1e-5
    )


def test_the_teacher_reads_the_students_format_where_that_is_asked_for(formats, tmp_path):
    teacher = {"model": str(formats / "teacher"), "view": "student"}
    assert first_loss(recipe(formats, teacher), tmp_path / "run") == pytest.approx(
        by_hand(formats, own=False), abs=1e-5
    )


def test_packed_rows_are_answered_as_padded_ones(formats, tmp_path):
    packed = recipe(
        formats, str(formats / "teacher"), packing=True, max_length=256, per_device_train_batch_size=2
    )
    assert first_loss(packed, tmp_path / "run") == pytest.approx(by_hand(formats, own=True), abs=1e-5)


@pytest.mark.parametrize("payload", [{"hidden": {"dtype": "float32"}}, {"topk": {"max": 255, "mass": 1.0}}])
def test_a_store_of_the_teachers_own_format_teaches_as_the_live_teacher_does(formats, tmp_path, payload):
    capture = {
        "out": "said",
        "teacher": str(formats / "teacher"),
        "rows": "rows.train",
        "payload": payload,
        "max_length": 64,
    }
    made = recipe(formats, {"signals": "said"}, steps=[{"capture": capture}])
    close = 1e-5 if "hidden" in payload else 2e-2
    assert first_loss(made, tmp_path / "run") == pytest.approx(by_hand(formats, own=True), abs=close)


def test_each_member_of_an_ensemble_reads_its_own_format(formats, tmp_path):
    members = [{"model": str(formats / "teacher")}, {"model": str(formats / "teacher"), "view": "student"}]
    made = recipe(formats, {"ensemble": members, "mean": "losses"})
    expected = (by_hand(formats, own=True) + by_hand(formats, own=False)) / 2
    assert first_loss(made, tmp_path / "run") == pytest.approx(expected, abs=1e-5)


def test_the_plan_says_that_the_formats_differ(formats, tmp_path):
    assert any(
        "reads every row in its own format" in note for note in notes_of_plan(formats, "teacher", tmp_path)
    )


def test_the_plan_is_silent_where_both_write_alike(formats, tmp_path):
    assert not any("format" in note for note in notes_of_plan(formats, "student", tmp_path))


def on_policy(formats: Path, taught_by, **rollouts) -> Recipe:
    written = {"student": 1.0, "max_new_tokens": 6, "sampling_temperature": 1.0} | rollouts
    return recipe(
        formats, taught_by, objective=["reverse_kl"], rollouts=written, max_steps=2, learning_rate=1e-3
    )


def test_what_the_student_wrote_is_judged_in_the_teachers_own_format(formats, tmp_path, monkeypatch):
    from limbeck.teachers import LocalTeacher

    read = []
    answer = LocalTeacher.answer

    def spied(self, batch, needs):
        read.append(batch)
        return answer(self, batch, needs)

    monkeypatch.setattr(LocalTeacher, "answer", spied)
    first_loss(on_policy(formats, str(formats / "teacher")), tmp_path / "run")
    tokenizer = AutoTokenizer.from_pretrained(formats / "teacher")
    texts = [tokenizer.decode(ids) for batch in read for ids in batch.inputs["input_ids"]]
    assert texts and all(text.startswith("<|user|>\n") and "<|assistant|>\n" in text for text in texts)
    assert not any("Assistant:" in text for text in texts)


def test_rollouts_are_judged_alike_where_the_formats_are_the_same(formats, tmp_path):
    """A teacher with the student's tokenizer, read in its own view, is the teacher read as ever."""
    alike = tmp_path / "alike"
    save_model(AutoModelForCausalLM.from_pretrained(formats / "teacher"), tokenizer_with(None, "</s>"), alike)
    own = first_loss(on_policy(formats, str(alike)), tmp_path / "own")
    students = {"model": str(alike), "view": "student"}
    assert first_loss(on_policy(formats, students), tmp_path / "students") == own


def test_a_teacher_of_another_format_does_not_write(formats, tmp_path):
    made = on_policy(formats, str(formats / "teacher"), student=0.5, teacher=0.5)
    with pytest.raises(UserError, match=r"rollouts\.teacher.*teacher\.view: student"):
        make_plan(made, tmp_path)


def test_inner_layers_cannot_be_compared_across_formats(formats, tmp_path):
    term = {"name": "state_mse", "layers": {"student": [-1], "teacher": [-1]}}
    with pytest.raises(UserError, match=r"teacher\.view: student"):
        make_plan(recipe(formats, str(formats / "teacher"), objective=[term]), tmp_path)
    teacher = {"model": str(formats / "teacher"), "view": "student"}
    make_plan(recipe(formats, teacher, objective=[term]), tmp_path)


def evaluated(formats: Path, out: Path, **teacher) -> dict:
    """The teacher is measured beside a student of its own weights that has no template."""
    save_model(
        AutoModelForCausalLM.from_pretrained(formats / "teacher"), tokenizer_with(None, "</s>"), out / "same"
    )
    step = {
        "model": str(out / "same"),
        "teacher": {"model": str(formats / "teacher")} | teacher,
        "rows": "rows.heldout",
        "metrics": ["perplexity", "fidelity", "generation"],
        "max_length": 64,
        "max_new_tokens": 4,
    }
    load = {"out": "rows", "path": str(formats / "rows.jsonl"), "heldout": 6}
    made = Recipe.from_data({"limbeck": 1, "name": "formats", "steps": [{"load": load}, {"evaluate": step}]})
    return limbeck.run(made, out / "run", progress=Silent()).evaluation["metrics"]


def nats(metrics: dict, name: str) -> float:
    return metrics["perplexity"]["subjects"][name]["nats_per_token"]["value"]


def test_an_evaluation_reads_the_teacher_in_its_own_format(formats, tmp_path):
    read_alike = evaluated(formats, tmp_path / "a", view="student")
    assert nats(read_alike, "teacher") == pytest.approx(nats(read_alike, "student"), abs=1e-6)
    assert read_alike["fidelity"]["subjects"]["student"]["overall"]["forward_kl"]["value"] < 1e-6
    own = evaluated(formats, tmp_path / "b")
    assert abs(nats(own, "teacher") - nats(own, "student")) > 0.01
    assert own["fidelity"]["subjects"]["student"]["overall"]["forward_kl"]["value"] > 0.01


def test_the_teacher_completes_prompts_of_its_own_format(formats, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(formats / "teacher")
    tokenizer = AutoTokenizer.from_pretrained(formats / "teacher")
    metrics = evaluated(formats, tmp_path)
    sample = metrics["generation"]["samples"][0]
    asked = sample["prompt"].removeprefix("User:\n").removesuffix("\n\nAssistant:\n")
    ids = tokenizer(
        f"<|user|>\n{asked}{MARK}\n<|assistant|>\n", add_special_tokens=False, return_tensors="pt"
    )
    written = model.generate(**ids, max_new_tokens=4, do_sample=False, eos_token_id=tokenizer.eos_token_id)
    text = tokenizer.decode(written[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert sample["texts"]["teacher"] == text
