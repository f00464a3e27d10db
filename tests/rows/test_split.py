"""The held-out part depends on content and seed, not on order."""

import pytest
from datasets import Dataset

from limbeck.core.errors import ConfigError
from limbeck.rows.heard import prompts_of
from limbeck.rows.split import shared_prompts, split_rows


def rows_of(texts):
    texts = list(texts)
    return Dataset.from_dict({"text": texts, "id": [f"f:{i}" for i in range(len(texts))]})


TEXTS = [f"row {i}" for i in range(100)]


@pytest.mark.parametrize(("heldout", "count"), [(0.1, 10), (0.101, 11), (7, 7), (0, 0), (0.0, 0)])
def test_a_fraction_is_rounded_up_and_a_number_is_exact(heldout, count):
    train, held = split_rows(rows_of(TEXTS), heldout, seed=0)
    assert (len(train), len(held)) == (100 - count, count)
    assert sorted(train["text"][:] + held["text"][:]) == sorted(TEXTS)


def test_a_fraction_is_taken_as_written():
    # 0.1 * 30 is 3.0000000000000004 in floating point.
    assert len(split_rows(rows_of(TEXTS[:30]), 0.1, seed=0)[1]) == 3


def test_membership_does_not_depend_on_order_or_ids():
    held = split_rows(rows_of(TEXTS), 0.2, seed=3)[1]
    again = split_rows(rows_of(reversed(TEXTS)), 0.2, seed=3)[1]
    assert set(held["text"]) == set(again["text"])


def test_another_seed_holds_out_other_rows():
    first, second = (set(split_rows(rows_of(TEXTS), 0.2, seed=seed)[1]["text"]) for seed in (0, 1))
    assert first != second


@pytest.mark.parametrize("seed", range(5))
def test_identical_rows_are_on_one_side(seed):
    train, held = split_rows(rows_of(TEXTS[:20] * 3), 0.2, seed=seed)
    assert len(held) == 12
    assert set(train["text"]).isdisjoint(held["text"])


@pytest.mark.parametrize("seed", range(8))
def test_a_group_of_identical_rows_that_overshoots_is_learnt_from(seed):
    train, held = split_rows(rows_of(TEXTS[:20] + ["same"] * 5), 4, seed=seed)
    assert len(held) == 4
    assert "same" not in held["text"][:]
    assert train["text"][:].count("same") == 5


def test_both_parts_keep_the_order_of_the_rows():
    for part in split_rows(rows_of(TEXTS), 0.3, seed=0):
        numbers = [int(row_id.split(":")[1]) for row_id in part["id"]]
        assert numbers == sorted(numbers)


def test_a_column_heldout_decides_alone_and_goes():
    rows = rows_of("abc").add_column("heldout", [False, True, False])
    train, held = split_rows(rows, 0.9, seed=0)
    assert train["text"][:] == ["a", "c"]
    assert held["text"][:] == ["b"]
    assert "heldout" not in held.column_names


@pytest.mark.parametrize("heldout", [-0.1, 1.0, 100, -1, float("nan")])
def test_a_part_that_leaves_nothing_to_learn_from_is_refused(heldout):
    with pytest.raises(ConfigError, match="heldout must be a fraction in"):
        split_rows(rows_of(TEXTS), heldout, seed=0)


def talk(*words):
    roles = ("user", "assistant")
    return [{"role": roles[n % 2], "content": one} for n, one in enumerate(words)]


SEVERAL = {
    "prompt": [
        {"prompt": f"p {n % 12}{' ' * (n // 12)}", "completion": f"c {n}", "idx": n} for n in range(36)
    ],
    "question": [
        {"question": f"q {n % 12}", "choices": ["a"], "answer": f"c {n}", "uuid": n} for n in range(36)
    ],
    "messages": [{"messages": talk(f"p {n % 12}", f"c {n}"), "score": n / 7} for n in range(36)],
    "turns": [{"messages": talk(f"p {n % 12}", f"c {n}", "and?", f"d {n}")} for n in range(36)],
    "preference": [{"prompt": f"p {n % 12}", "chosen": f"c {n}", "rejected": "x"} for n in range(36)],
    "texts": [{"text": f"t {n % 12}\n", "idx": n} for n in range(36)],
    "pairs": [{"text_a": f"a {n % 12}", "text_b": "b", "label": n} for n in range(36)],
    "tags": [{"tokens": [f"t {n % 12}"], "tags": ["O"], "line": n} for n in range(36)],
    "turned": [
        {"chosen": talk(f"p {n % 12}", f"c {n}"), "rejected": talk(f"p {n % 12}", f"d {n}")}
        for n in range(36)
    ],
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_answers_to_one_prompt_are_on_one_side_whatever_else_rows_say(kind):
    rows = Dataset.from_list([row | {"id": str(n)} for n, row in enumerate(SEVERAL[kind])])
    train, held = split_rows(rows, 0.25, seed=0)
    assert (len(held), len(prompts_of(held).unique())) == (9, 3)
    assert shared_prompts(train, held) == (0, 3)


def test_conversations_with_one_opening_are_on_one_side():
    rows = Dataset.from_list(
        [
            {"messages": talk(*(f"{n} {k}" for k in range(2 * length)))}
            for n in range(8)
            for length in (1, 2, 3)
        ]
    )
    train, held = split_rows(rows, 6, seed=0)
    openings = [{row["messages"][0]["content"] for row in part} for part in (train, held)]
    assert len(held) == 6
    assert openings[0].isdisjoint(openings[1])


def test_an_opening_that_most_conversations_share_does_not_hold_them_together():
    rows = Dataset.from_list(
        [{"messages": talk("You are in a room.", "OK", f"task {n}", "x")} for n in range(40)]
    )
    train, held = split_rows(rows, 0.1, seed=0)
    assert len(held) == 4
    assert shared_prompts(train, held) == (0, 4)


def test_held_out_prompts_that_are_also_learnt_are_counted():
    rows = Dataset.from_list(
        [
            {"prompt": p, "completion": str(n), "heldout": n > 2}
            for n, p in enumerate(("a", "b", "c", "b ", "d"))
        ]
    )
    assert shared_prompts(*split_rows(rows, 0.1, seed=0)) == (1, 2)


def turns(system, question):
    return [
        {"role": "system", "content": system},
        {"role": "user", "content": question},
        {"role": "assistant", "content": "yes"},
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"prompt": "What is {}?"}, {"prompt": "what is {}"}),
        ({"prompt": "What  is\n{}"}, {"prompt": "What\u00a0is {}"}),
        ({"prompt": "Caf\u00e9 {}"}, {"prompt": "Cafe\u0301\u200b {}"}),
        ({"text_a": "one {}", "text_b": "two {}"}, {"text_a": "two {}", "text_b": "one {}"}),
        ({"question": "q {}", "choices": ["a"]}, {"question": "q {}", "choices": ["b"]}),
        ({"messages": turns("be kind", "q {}")}, {"messages": turns("be brief", "q {}")}),
    ],
)
@pytest.mark.parametrize("seed", range(3))
def test_prompts_that_differ_in_nothing_that_matters_are_on_one_side(first, second, seed):
    answer = {"text_a": {"label": "1"}, "question": {"answer": "x"}, "prompt": {"completion": "x"}}

    def filled(value, number):
        if isinstance(value, dict):
            return {key: filled(one, number) for key, one in value.items()}
        if isinstance(value, list):
            return [filled(one, number) for one in value]
        return value.format(number)

    rows = [
        {**filled(one, number), **answer.get(next(iter(one)), {}), "number": number}
        for one in (first, second)
        for number in range(20)
    ]
    train, held = split_rows(Dataset.from_list(rows), 0.2, seed=seed)
    assert len(held) == 8
    assert set(train["number"]).isdisjoint(held["number"])


def test_a_prompt_in_other_capitals_counts_as_shared():
    train, held = (Dataset.from_dict({"prompt": [one], "completion": ["x"]}) for one in ("Who?", "who"))
    assert shared_prompts(train, held) == (1, 1)
