"""Recipes whose teacher makes the rows, end to end: what is asked, what the student reads and learns."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck.core.asking import Request
from limbeck.runs.assembly.teachers import local_asking
from limbeck.runs.record.progress import Silent
from limbeck.runs.resolve import parse_pairs, resolve
from tests.endpoint.fault_server import Call
from tests.endpoint.scripted import Scripted
from tests.runs.served import serving
from tests.runs.world import write_rows

NOUNS = (
    "a river",
    "three birds",
    "an old map",
    "seven stones",
    "her letter",
    "the market",
    "winter",
    "music",
)
SETTINGS = ("max_steps=2", "per_device_train_batch_size=2", "max_length=256", "heldout=2")


def run(folder: Path, world: Path, recipe: str, url: str, *words: str) -> Path:
    """The run folder of a recipe whose teacher is behind `url`."""
    given = (f"teacher.endpoint={url}", "teacher.model=model", f"student={world / 'student'}")
    made = resolve(recipe, parse_pairs([*given, f"data={folder / 'rows.jsonl'}", *words, *SETTINGS]))
    return limbeck.run(made, folder / "run", progress=Silent()).folder


def made(run_folder: Path, out: str) -> list[dict[str, Any]]:
    return load_from_disk(str(next(run_folder.glob(f"steps/*-{out}")) / "rows")).to_list()


def test_every_answer_of_a_conversation_is_learnt_and_first_answers_are_paid_for_once(world, tmp_path):
    write_rows(tmp_path / "rows.jsonl", [{"prompt": f"tell me of {noun}"} for noun in NOUNS])

    def says(call: Call) -> str:
        turns = [turn for turn in call.body["messages"] if turn["role"] != "system"]
        return "And then?" if "[END]" in json.dumps(call.body) else f"answer {len(turns) // 2 + 1}"

    with serving(says=says) as server:
        folder = run(tmp_path, world, "conversation", server.url, "turns=2")
        asked = len(server.calls)
    talks, openings = made(folder, "elicit-conversations"), made(folder, "elicit-openings")
    assert len(talks) == len(openings) == 6 and asked == 8 * 3
    for talk, opening in zip(talks, openings, strict=True):
        assert [turn["role"] for turn in talk["messages"]] == ["user", "assistant"] * 2
        assert [turn["content"] for turn in talk["messages"][1:]] == ["answer 1", "And then?", "answer 2"]
        assert opening["messages"] == talk["messages"][:2]
    terms = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["terms"]
    assert set(terms) == {"cross_entropy"}


@pytest.mark.parametrize("rounds", [0, 1])
def test_tasks_that_are_new_join_those_that_people_wrote(world, tmp_path, rounds):
    rows = [{"prompt": f"Write about {noun} please now", "completion": f"of {noun}"} for noun in NOUNS]
    write_rows(tmp_path / "rows.jsonl", [*rows, *({**row, "prompt": row["prompt"][6:]} for row in rows)])
    number = iter(range(10_000))

    def says(call: Call) -> str:
        if "Go on with this list" in call.prompt:
            first = next(number)
            words = [f"Name word{first}{k} for thing{first}{k} in place{first}{k}" for k in range(3)]
            return "\n".join(f"{9 + k}. {word}" for k, word in enumerate(words))
        if "Make up examples" in call.prompt:
            return "Example 1\nOutput: done and written"
        if "Yes or No" in call.prompt or "classif" in call.prompt:
            return "No"
        return f"Harder {next(number)} ones"

    with serving(says=says) as server:
        folder = run(tmp_path, world, "self_instruct", server.url, "target=4", f"evolve_rounds={rounds}")
    learnt = made(folder, "mix-all_tasks")
    sources = [row["mixed_from"] for row in learnt]
    assert sources.count("rows.train") == 14 and sources.count("tasks") == 5 * 3  # a round
    assert sources.count("harder") == 5 * 3 * rounds
    assert all(row["completion"] for row in learnt) and len({row["prompt"] for row in learnt}) == len(learnt)


def test_the_student_learns_to_prefer_its_answers_with_the_higher_scores(world, tmp_path):
    rows = [{"prompt": f"tell me of {noun}", "completion": f"of {noun}"} for noun in NOUNS]
    write_rows(tmp_path / "rows.jsonl", rows)

    def says(call: Call) -> str:
        answer = call.prompt.split("Answer:\n", 1)[1].split("\n\nJudge the answer", 1)[0]
        return f"So so. [[{1 + len(answer) % 10}]]"  # any score that differs from answer to answer

    with serving(says=says) as server:
        folder = run(tmp_path, world, "feedback", server.url, "sft_steps=1", "max_new_tokens=6", "answers=3")
        asked = len(server.calls)
    answers, judged, pairs = (made(folder, out) for out in ("elicit-answers", "elicit-judged", "pair-pairs"))
    assert len(answers) == len(judged) == 6 * 3
    assert asked == len({(row["prompt"], row["completion"]) for row in answers}), "no answer is judged twice"
    best: dict[str, float] = {}
    for row in judged:
        best[row["prompt"]] = max(best.get(row["prompt"], 0), row["judge_score"])
    for pair in pairs:
        assert pair["chosen_score"] == best[pair["prompt"]] > pair["rejected_score"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert set(lines[-1]["terms"]) == {"dpo"}


def test_a_round_learns_right_answers_and_reasons_for_wrong_ones_without_the_hint(
    world, tmp_path, monkeypatch
):
    rows = [{"question": f"{n} and {n}", "answer": str(2 * n)} for n in range(1, 9)]
    write_rows(tmp_path / "rows.jsonl", rows)

    def writes(request: Request) -> str:
        """Right for even numbers, and where the answer is told."""
        said = str(request.messages[-1]["content"])
        number, told = int(said.split()[0]), re.search(r"answer is (\d+)", said)
        answer = int(told[1]) if told else 2 * number + number % 2
        return f"Add {number} twice.\n\nAnswer: {answer}"

    monkeypatch.setattr(local_asking, "transport_of", lambda teacher, work: Scripted(writes))
    data = f"data={tmp_path / 'rows.jsonl'}"
    given = [f"student={world / 'student'}", data, "rounds=2", "max_new_tokens=16", *SETTINGS]
    recipe = resolve("self_improve", parse_pairs(given))
    folder = limbeck.run(recipe, tmp_path / "run", progress=Silent()).folder
    for number in (1, 2):
        tried, hinted, right = (
            made(folder, f"{name}_{number}") for name in ("elicit-tried", "elicit-hinted", "mix-right")
        )
        assert {int(row["question"].split()[0]) % 2 for row in tried} == {0}
        assert {int(row["question"].split()[0]) % 2 for row in hinted} == {1}
        assert len(right) == len(tried) + len(hinted) == 6, "held-out questions are not asked about"
        assert all("hint" in row["asked"].lower() for row in hinted)
        for row in right:
            number_asked = int(row["question"].split()[0])
            assert row["question"] == f"{number_asked} and {number_asked}", "the student is told no answer"
            assert row["answer"].endswith(f"Answer: {2 * number_asked}")
    trained = [step for step in recipe.steps if step.kind == "train"]
    assert [step.max_steps for step in trained] == [2, 2, 2]
    assert {step.student.origin for step in trained} == {str(world / "student")}, "each starts anew"


def test_a_round_of_spin_prefers_the_answers_of_the_data_and_goes_on_from_the_one_before(
    world, tmp_path, monkeypatch
):
    write_rows(tmp_path / "rows.jsonl", [{"prompt": f"tell of {noun}", "completion": noun} for noun in NOUNS])
    monkeypatch.setattr(local_asking, "transport_of", lambda teacher, work: Scripted("something else"))
    given = ["way=spin", f"student={world / 'student'}", f"data={tmp_path / 'rows.jsonl'}", "rounds=2"]
    recipe = resolve("self_improve", parse_pairs([*given, *SETTINGS]))
    folder = limbeck.run(recipe, tmp_path / "run", progress=Silent()).folder
    for number in (1, 2):
        pairs = made(folder, f"pair-pairs_{number}")
        assert len(pairs) == 6
        assert {(pair["chosen"] in NOUNS, pair["rejected"]) for pair in pairs} == {(True, "something else")}
    trained = {step.out: step for step in recipe.steps if step.kind == "train"}
    assert trained["student"].student.origin == trained["student"].teacher.model == "round_1"
