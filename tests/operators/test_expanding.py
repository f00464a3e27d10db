"""New instructions from old ones, from nothing, and harder ones."""

import asyncio

import pytest

from limbeck.core.asking import Reply
from limbeck.core.errors import ConfigError
from limbeck.core.overlap import rouge_l, words_of
from limbeck.operators import evolve, expand_self_instruct, magpie
from limbeck.operators.task_filters import unfit_for_text
from tests.operators.scripted import Scripted, read_by, reasons, student_part

SEEDS = [{"id": f"s{place}", "prompt": f"seed number {place}"} for place in range(8)]


def run(operator, given, said, **options):
    teacher = Scripted(said)
    return asyncio.run(operator(given, teacher, **options)), teacher


def test_tasks_that_are_new_join_the_pool_and_the_others_say_why_not() -> None:
    lines = ["Name three rivers of France.", "Name three rivers of France now.", "Sing.", "Draw a red boat."]
    answer = "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 9))
    options = {"target": 1, "instances": False, "requests_per_round": 1}
    rows, teacher = run(expand_self_instruct, SEEDS, [answer], **options)
    assert [row["prompt"] for row in rows] == lines
    assert [row["id"] for row in rows] == ["task0.0", "task0.1", "task0.2", "task0.3"]
    assert reasons(rows) == [None, "not_new", "words", "needs_more_than_text"]
    assert sorted(rows[0]["parents"]) == [f"s{place}" for place in range(8)]
    assert all(f". seed number {place}\n" in read_by(teacher.asked[0]) for place in range(8))


def test_later_rounds_show_two_made_tasks_among_eight() -> None:
    subjects = ["river", "mountain", "poem", "engine"]
    answers = [f"Explain how a {name} begins {place}{place}." for place, name in enumerate(subjects)]
    options = {"target": 4, "instances": False, "requests_per_round": 1, "novelty": 0.9}
    rows, _ = run(expand_self_instruct, SEEDS, answers, **options)
    assert len(rows) == 4 and reasons(rows) == [None] * 4
    made = [sum(f"task{place}.0" in row["parents"] for place in range(4)) for row in rows]
    assert made == [0, 1, 2, 2] and all(len(row["parents"]) == 8 for row in rows)


def test_a_task_that_is_already_there_never_joins_the_pool() -> None:
    options = {"target": 5, "instances": False, "requests_per_round": 1, "most_requests": 6}
    rows, teacher = run(expand_self_instruct, SEEDS, lambda request: "Name the big river here.", **options)
    assert reasons(rows) == [None] + ["not_new"] * 5 and len(teacher.asked) == 6


def test_a_task_at_the_edge_of_novelty_is_new() -> None:
    # Seven of ten words in order: 2 * 7 / (10 + 10) = 0.7, which the official code lets through.
    seed, near = "a b c d e f g h i j", "A b c d e f g x y z"
    rows = [{"id": "s", "prompt": seed}]
    options = {"target": 1, "in_context": 1, "instances": False, "requests_per_round": 1}
    made, _ = run(expand_self_instruct, rows, [near], **options)
    assert reasons(made) == [None]
    made, _ = run(expand_self_instruct, rows, [near], **{**options, "novelty": 0.69, "most_requests": 1})
    assert reasons(made) == ["not_new"]


def test_an_answer_that_was_cut_gives_no_task() -> None:
    answers = [Reply("Name the big river here.", finish="length")]
    options = {"target": 1, "requests_per_round": 1, "most_requests": 1}
    rows, _ = run(expand_self_instruct, SEEDS, answers, **options)
    assert reasons(rows) == ["length"]


def test_classifications_have_their_label_first() -> None:
    answers = [
        "Is the given word kind or rude?",
        "Yes",
        "Class label: kind\nPlease\nClass label: rude\nGo away",
    ]
    rows, teacher = run(expand_self_instruct, SEEDS, answers, target=1, requests_per_round=1)
    assert [student_part(row) for row in rows] == [
        {
            "prompt": f"Is the given word kind or rude?\n\n{said}",
            "completion": label,
            "is_classification": True,
        }
        for said, label in (("Please", "kind"), ("Go away", "rude"))
    ]
    assert [row["id"] for row in rows] == ["task0.0.0", "task0.0.1"]
    assert [request.temperature for request in teacher.asked] == [0.7, 0.0, 0.0]


# What is kept and dropped: filter_invalid_instances and filter_duplicate_instances of yizhongw/self-instruct,
# `prepare_for_finetuning.py`, run on the same texts.
@pytest.mark.parametrize(
    ("text", "completions", "why"),
    [
        ("Example 1\nInput: a\nOutput: b\nExample 2\nInput: a\nOutput: b", ["b"], [None]),
        ("Example 1\nInput: a\nOutput: a\nExample 2\nOutput: c", ["c", None], [None, "output_is_input"]),
        ("Example 1\nInput: a:\nOutput: b\nExample 2\nOutput: c", ["c", None], [None, "unfinished"]),
        ("Example 1\nInput: a\nOutput:\nExample 2\nOutput: c", ["c", None], [None, "no_output"]),
        ("Example 1\nInput: a\nOutput: b\nExample 2\nInput: a\nOutput: c", ["b", "c"], ["contradiction"] * 2),
    ],
)
def test_instances_are_filtered_as_in_the_official_code(text, completions, why) -> None:
    answers = ["Describe what you can see.", "No", text]
    rows, _ = run(expand_self_instruct, SEEDS, answers, target=1, requests_per_round=1)
    assert [row.get("completion") for row in rows] == completions
    assert reasons(rows) == why


def test_the_last_instance_of_an_answer_that_was_cut_is_left_out() -> None:
    cut = Reply("Example 1\nInput: a\nOutput: b\nExample 2\nInput: c\nOutput: d", finish="length")
    answers = ["Describe what you can see.", "No", cut]
    rows, _ = run(expand_self_instruct, SEEDS, answers, target=1, requests_per_round=1)
    assert [row["completion"] for row in rows] == ["b"]


def test_fewer_rows_than_are_shown_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"in_context: must be at most the number of rows \(2\), got 8"):
        run(expand_self_instruct, SEEDS[:2], [])


# Expected: post_process_gpt3_response of yizhongw/self-instruct, run on each of these.
@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("Name three rivers of France.", None),
        ("Name three rivers.", "words"),
        (" ".join(["word"] * 151), "words"),
        ("Show me the picture of it.", "needs_more_than_text"),
        ("Explain what a photograph is.", None),
        ("Where do I go to vote?", "needs_more_than_text"),
        ("Write a program that adds numbers.", "program"),
        ("- name three rivers please", "first_letter"),
        ("Ein schönes Lied über Wasser.", None),
        ("Über allen Gipfeln ist Ruh.", "first_letter"),
    ],
)
def test_tasks_are_filtered_as_in_the_official_code(task, reason) -> None:
    found = unfit_for_text(task)
    assert (found and found[0]) == reason


# Expected: `rougeL` of rouge_score 0.1.2 without a stemmer.
@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ("a b c d", "a b x d", 0.75),
        ("The cat, sat.", "the CAT sat down!", 6 / 7),
        ("", "a", 0.0),
        ("ä b", "b", 1.0),
    ],
)
def test_overlap_is_rouge_l_as_rouge_score_has_it(one, other, overlap) -> None:
    assert rouge_l(words_of(one), words_of(other)) == pytest.approx(overlap)


def test_versions_of_an_instruction_follow_each_other() -> None:
    answers = ["Name two rivers.", "No", "Seine, Loire", "Name two long rivers.", "No.", "Nile, Amazon"]
    rows, teacher = run(evolve, {"id": "a", "prompt": "Name a river."}, answers, rounds=2)
    assert [(row["id"], row["parents"], row["depth"]) for row in rows] == [
        ("a~evolved0", ["a"], 1),
        ("a~evolved1", ["a~evolved0"], 2),
    ]
    assert [(row["prompt"], row["completion"]) for row in rows] == [
        ("Name two rivers.", "Seine, Loire"),
        ("Name two long rivers.", "Nile, Amazon"),
    ]
    assert read_by(teacher.asked[3]).endswith("Name two rivers.")
    assert read_by(teacher.asked[2]) == "Name two rivers."  # the answer reads the instruction alone


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (["Name a river."], "unchanged"),
        (["Name two rivers, as the given prompt says."], "prompt_words"),
        (["#Rewritten Prompt#: Name two rivers."], "prompt_words"),
        (["Name two rivers.", "Yes"], "equal"),
        (["Name two rivers.", "Maybe"], "no_verdict"),
        (["Name two rivers.", "No", "Sorry, I cannot."], "excuse"),
        (["Name two rivers.", "No", "It is what it is..."], "no_content"),
        ([Reply("Name two riv", finish="length")], "length"),
    ],
)
def test_versions_are_eliminated_with_the_reason(answers, reason) -> None:
    rows, _ = run(evolve, {"id": "a", "prompt": "Name a river."}, answers, rounds=1)
    assert reasons(rows) == [reason] and "completion" not in rows[0]


def test_after_an_elimination_the_version_before_is_evolved() -> None:
    answers = ["Name two rivers.", "Yes", "Name three rivers.", "No", "A, B, C"]
    rows, teacher = run(evolve, {"id": "a", "prompt": "Name a river."}, answers, rounds=2)
    assert reasons(rows) == ["equal", None]
    assert (rows[1]["parents"], rows[1]["depth"]) == (["a"], 1)
    assert read_by(teacher.asked[2]).endswith("Name a river.")


def test_ways_to_evolve_are_drawn_with_equal_chances() -> None:
    ways = []
    for place in range(300):
        given = {"id": f"r{place}", "prompt": "Name a river."}
        rows, _ = run(evolve, given, ["Name two.", "No"], rounds=1, answers=False)
        ways.append(rows[0]["evolved_by"])
    counts = [ways.count(way) for way in set(ways)]
    assert (
        len(counts) == 5 and sum((count - 60) ** 2 / 60 for count in counts) < 18.5
    )  # 99.9 % of chi-square, 4


def test_the_model_speaks_as_the_user_and_then_answers() -> None:
    written = ["What is ink?", "", "A mark <|end|>", Reply("Tell me ab", finish="length")]
    row = {"id": "a", "system": "Be brief.", "topic": "ink"}
    rows, teacher = run(
        magpie,
        row,
        lambda request: written[request.sample] if request.text else "A fluid.",
        begin="<|user|>",
        samples=4,
    )
    assert student_part(rows[0]) == {
        "topic": "ink",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is ink?"},
            {"role": "assistant", "content": "A fluid."},
        ],
    }
    assert reasons(rows) == [None, "empty", "marks", "length"]
    asked = [request for request in teacher.asked if request.text]
    assert [request.sample for request in asked] == [0, 1, 2, 3]
    assert (asked[0].text, asked[0].stop) == ("<|user|>", ("assistant", "\n"))
    (answered,) = [request for request in teacher.asked if not request.text]
    assert read_by(answered) == "Be brief.\nWhat is ink?" and answered.temperature == 0.0


def test_instructions_without_answers_and_without_a_system_prompt() -> None:
    rows, _ = run(magpie, {"id": "a"}, ["What is ink?"], begin="<u>", samples=1, answers=False)
    assert student_part(rows[0]) == {"prompt": "What is ink?"}


@pytest.mark.parametrize("options", [{}, {"begin": "x", "tokenizer": "y"}])
def test_the_beginning_is_given_once(options) -> None:
    with pytest.raises(ConfigError, match="tokenizer: must be given, or begin, and not both"):
        run(magpie, {"id": "a"}, [], **options)


def test_rows_that_steer_alike_draw_instructions_of_their_own() -> None:
    teacher = Scripted(lambda request: f"What is {request.seed}?")
    options = {"begin": "<u>", "samples": 2, "answers": False}
    made = [
        row["prompt"]
        for row_id in ("a", "b")
        for row in asyncio.run(magpie({"id": row_id, "prompt": "-"}, teacher, **options))
    ]
    assert len(teacher.asked) == 4 and made[0] != made[2] and "-" not in made


def test_a_system_prompt_among_turns_steers_too() -> None:
    row = {
        "id": "a",
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "-"}],
    }
    rows, _ = run(magpie, row, ["What is ink?"], begin="<u>", samples=1, answers=False)
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is ink?"}]
    assert student_part(rows[0]) == {"prompt": asked}
