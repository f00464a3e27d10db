"""Length by its edges, in all units."""

import pytest

from limbeck.core.errors import ConfigError
from limbeck.gates import length


def passed(texts, **settings):
    return [one.passed for one in length([{"text": text} for text in texts], **settings)]


def test_both_edges_are_included() -> None:
    assert passed(["", "a", "aa", "aaa"], min=1, max=2) == [False, True, True, False]


def test_words_are_what_stands_between_blanks() -> None:
    assert [one.score for one in length([{"text": " a  b\nc "}], max=3, unit="words")] == [3]


def test_tokens_are_those_of_the_tokenizer_without_special_ones(monkeypatch) -> None:
    import limbeck.core.models as models

    class Letters:
        def __call__(self, text, add_special_tokens):
            return {"input_ids": [*text] + ["end"] * add_special_tokens}

    monkeypatch.setattr(models, "load_tokenizer", lambda place: Letters())
    assert [one.score for one in length([{"text": "abc"}], max=3, unit="tokens", tokenizer="x")] == [3]
    with pytest.raises(ConfigError, match="tokenizer must be given"):
        passed(["a"], max=1, unit="tokens")


def test_a_ratio_to_nothing_is_too_long_and_of_nothing_to_nothing_is_one() -> None:
    rows = [{"question": "", "answer": "a"}, {"question": "", "answer": ""}]
    found = list(length(rows, max=2, relative_to="question"))
    assert [(one.score, one.passed, one.reason) for one in found] == [
        (None, False, "long"), (1.0, True, "accepted"),
    ]  # fmt: skip


def test_the_last_answer_of_a_conversation_is_measured() -> None:
    turns = [("user", "x" * 9), ("assistant", "ab"), ("user", "y" * 9), ("assistant", "abc")]
    row = {"messages": [{"role": role, "content": text} for role, text in turns]}
    assert [one.score for one in length([row], max=99)] == [3]


def test_without_an_edge_there_is_nothing_to_judge() -> None:
    with pytest.raises(ConfigError, match="min, max or both"):
        passed(["a"])
