"""Thoughts are found wherever servers put them."""

import pytest

from limbeck.endpoint.reasoning import Thought, thoughts_in_text, thoughts_of_blocks, thoughts_of_message


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_have_a_field_of_either_name(field: str) -> None:
    assert thoughts_of_message({"content": "\n\n4", field: "2 and 2"}) == Thought("4", "2 and 2")


def test_a_field_that_is_there_but_empty_leaves_the_text_alone() -> None:
    assert thoughts_of_message({"content": "4", "reasoning": None, "reasoning_content": ""}) == Thought("4")


def test_thoughts_that_were_counted_but_not_told_are_hidden() -> None:
    assert thoughts_of_message({"content": "4"}, reasoning_tokens=12) == Thought("4", hidden=True)


def test_details_of_thoughts_are_joined() -> None:
    details = [{"type": "reasoning.text", "text": "2 "}, {"type": "reasoning.summary", "summary": "and 2"}]
    assert thoughts_of_message({"content": "4", "reasoning_details": details}).reasoning == "2 and 2"


def test_thoughts_that_were_cut_leave_no_answer() -> None:
    assert thoughts_in_text("<think>\n2 and") == Thought("", "2 and")


def test_an_answer_that_speaks_of_the_tag_later_keeps_it() -> None:
    text = "Write <think> before thoughts."
    assert thoughts_in_text(text) == Thought(text)


def test_tags_stay_where_a_text_is_continued() -> None:
    text = "<think>a</think>b"
    assert thoughts_of_message({"content": text}, tags=False) == Thought(text)


def test_hidden_blocks_are_recorded_and_signed_empty_ones_count_as_hidden() -> None:
    text = {"type": "text", "text": "4"}
    assert thoughts_of_blocks([{"type": "redacted_thinking", "data": "x"}, text]) == Thought("4", hidden=True)
    empty = {"type": "thinking", "thinking": "", "signature": "s"}
    assert thoughts_of_blocks([empty, text]) == Thought("4", hidden=True)
