"""Parsers against what the official parsers read, and with a reason where those give up."""

import doctest

import pytest

from limbeck.core.prompting import ParseFailed
from limbeck.core.prompting import own as own_module
from limbeck.core.prompting.parsers import PARSERS, instances, objects, reasoned, tasks, verdicts
from limbeck.core.prompting.parsers import entities as entities_module
from limbeck.core.prompting.parsers.reasoned import cue

CQA = {"cue": "So the answer is", "until": "Q:", "label": "choice"}
SVAMP = {"cue": "The answer is", "until": "Q:", "label": "equation"}
ANLI = {"cue": "So the answer is", "until": "Premise:"}
ESNLI = {"cue": "Answer:", "until": "Premise:", "take": "first"}


# Expected values: `_parse_llm_output` of the loaders in google-research/distilling-step-by-step,
# data_utils.py, run on these texts; spaces before the rationale are ours to take off.
@pytest.mark.parametrize(
    ("settings", "text", "rationale", "answer"),
    [
        (CQA, "Ink is wet. So the answer is (b) ink.\n\nQ: Next?", "Ink is wet.", "ink"),
        (CQA, "x So the answer is (a) new york (c) paris", "x", "new york"),
        (SVAMP, "He has 3. The answer is (3 + (2 * 1)).", "He has 3.", "(3 + (2 * 1))"),
        (SVAMP, "a The answer is (3) or (4) \nQ:", "a", "(3) or (4)"),
        (ANLI, "It is said. So the answer is neutral.\n\nPremise: b", "It is said.", "neutral"),
        (ESNLI, "It is said. \nAnswer: entailment\n\nPremise: b", "It is said.", "entailment"),
        (ESNLI, "a Answer: neutral\nAnswer: contradiction", "a", "neutral"),
    ],
)
def test_reads_what_the_official_parsers_read(settings, text, rationale, answer) -> None:
    found = cue(text, **settings)
    assert (found["rationale"], found["answer"]) == (rationale, answer)


@pytest.mark.parametrize(
    ("settings", "text", "reason"),
    [
        (CQA, "I do not know.", "no_cue"),  # officially a ValueError
        (CQA, "a So the answer is b. So the answer is (c) d.", "several_cues"),
        (CQA, "a So the answer is ink.", "no_answer"),  # officially the label ' '
        (CQA, "So the answer is (b) ink.", "no_rationale"),
        (SVAMP, "a The answer is 5.", "no_answer"),  # officially the label ' ' with its rationale
        (ANLI, "a so it is neutral.", "no_cue"),  # officially two empty texts
        (CQA, "a\nQ: Another? b So the answer is (b) ink.", "no_cue"),  # the answer is another question's
    ],
)
def test_says_why_where_the_official_parsers_give_up(settings, text, reason) -> None:
    with pytest.raises(ParseFailed) as failed:
        cue(text, **settings)
    assert failed.value.reason == reason


def test_keeps_the_last_letter_of_a_label_without_a_dot() -> None:
    assert cue("a So the answer is neutral", **ANLI)["answer"] == "neutral"  # officially 'neutra'


@pytest.mark.parametrize(
    ("name", "text", "options", "reason"),
    [
        ("json_object", "no", {"fields": ("a",)}, "no_json"),
        ("json_object", '{"a": ', {"fields": ("a",)}, "bad_json"),
        ("json_object", '{"a": ""}', {"fields": ("a",)}, "no_field"),
        ("numbered", "  ", {}, "no_items"),
        ("yes_or_no", "Perhaps", {}, "no_verdict"),
        ("input_first", "4", {}, "no_instances"),
        ("label_first", "4", {}, "no_instances"),
        ("entities", "none", {}, "no_list"),
        ("entities", "[('a', ]", {}, "bad_list"),
        ("entities", '[["a"]]', {}, "bad_entity"),
        ("entities", "[__import__('os').getcwd()]", {}, "bad_list"),
        ("score", "7", {}, "no_score"),
        ("score", "[[11]]", {}, "score_range"),
        ("winner", "A", {}, "no_winner"),
    ],
)
def test_every_parser_says_why_it_finds_nothing(name, text, options, reason) -> None:
    with pytest.raises(ParseFailed) as failed:
        PARSERS[name][0](text, **options)
    assert failed.value.reason == reason


def test_reads_json_out_of_a_fenced_block() -> None:
    text = 'Here:\n```json\n{"answer": "a {b}", "why": null}\n```\nDone {x}'
    assert PARSERS["json_object"][0](text, fields=("answer",)) == {"answer": "a {b}", "why": None}


# Expected values: parse_instances_for_generation_task of yizhongw/self-instruct, before its filters.
@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Example 1\nInput: 2+2\nOutput: 4\n\nExample 2\nOutput 2: 5", [("2+2", "4"), ("", "5")]),
        ("Input: a\nOutput: b\nInput: c\nOutput: d", [("a", "b")]),
        ("Example 1\nA poem.", [("", "A poem.")]),
    ],
)
def test_reads_instances_as_the_official_parser(text, pairs) -> None:
    assert PARSERS["input_first"][0](text)["instances"] == pairs


@pytest.mark.parametrize(
    "module",
    [reasoned, objects, tasks, instances, entities_module, verdicts, own_module],
    ids=lambda one: one.__name__,
)
def test_examples_in_docstrings_hold(module) -> None:
    tried = doctest.testmod(module)
    assert tried.attempted and not tried.failed
