"""Log-probabilities in the shapes that servers give, against the same numbers by hand."""

import math

import pytest

from limbeck.core.asking import Candidate, TokenScores
from limbeck.endpoint.logprobs import MalformedScores, prompt_scores, residual_log_mass, written_scores

HALF, QUARTER, EIGHTH = math.log(1 / 2), math.log(1 / 4), math.log(1 / 8)


def test_chat_scores_keep_half_characters_as_bytes_and_candidates_in_falling_order() -> None:
    content = [
        {
            "token": "�",
            "bytes": [0xE2],
            "logprob": EIGHTH,
            "top_logprobs": [
                {"token": "b", "bytes": [98], "logprob": QUARTER},
                {"token": "a", "bytes": None, "logprob": HALF},
            ],
        }
    ]
    (position,) = written_scores({"logprobs": {"content": content}}) or ()
    assert position.chosen == Candidate(b"\xe2", EIGHTH)
    assert position.top == (Candidate(b"a", HALF), Candidate(b"b", QUARTER))
    assert residual_log_mass(position) == pytest.approx(QUARTER)


def test_llama_cpps_scores_have_ids_and_tell_no_bytes_of_special_tokens() -> None:
    entry = {"id": 2, "token": "", "bytes": [], "logprob": HALF, "top_logprobs": []}
    (position,) = written_scores({"logprobs": {"content": [entry]}}) or ()
    assert position.chosen == Candidate(b"", HALF, 2)


def test_completion_scores_are_read_by_position() -> None:
    told = {
        "tokens": ["bytes:\\xe2\\x80", "b"],
        "token_logprobs": [HALF, QUARTER],
        "top_logprobs": [{"bytes:\\xe2\\x80": HALF}, {"a": HALF, "b": QUARTER}],
        "text_offset": [0, 0],
    }
    first, second = written_scores({"logprobs": told}, k=1) or ()
    assert first == TokenScores(Candidate(b"\xe2\x80", HALF), (Candidate(b"\xe2\x80", HALF),))
    # The token itself came as one candidate more than was asked for.
    assert second == TokenScores(Candidate(b"b", QUARTER), (Candidate(b"a", HALF),))


def test_an_echoed_prompts_first_token_has_no_scores() -> None:
    told = {"tokens": ["a", "b"], "token_logprobs": [None, HALF], "top_logprobs": [None, {"b": HALF}]}
    (position,) = written_scores({"logprobs": told}) or ()
    assert position.chosen == Candidate(b"b", HALF)


def test_ids_in_place_of_tokens_are_read_and_their_words_are_not_taken_for_bytes() -> None:
    entry = {"token": "token_id:7", "bytes": list(b"token_id:7"), "logprob": HALF, "top_logprobs": []}
    told = {"logprobs": {"content": [entry]}}
    assert (written_scores(told) or ())[0].chosen == Candidate(b"", HALF, 7)
    vocabulary = [b""] * 7 + [b"\xff"]
    assert (written_scores(told, vocabulary=vocabulary) or ())[0].chosen == Candidate(b"\xff", HALF, 7)


def test_ids_beside_the_tokens_are_theirs() -> None:
    entry = {"token": "�", "bytes": list("�".encode()), "logprob": HALF, "top_logprobs": []}
    (position,) = written_scores({"token_ids": [5, 2], "logprobs": {"content": [entry]}}) or ()
    assert position.chosen == Candidate(b"", HALF, 5)


def test_prompt_scores_leave_out_the_first_token_and_candidates_beyond_k() -> None:
    choice = {
        "prompt_token_ids": [4, 9],
        "prompt_logprobs": [
            None,
            {
                "9": {"logprob": EIGHTH, "rank": 40, "decoded_token": "z"},
                "1": {"logprob": HALF, "rank": 1, "decoded_token": "a"},
                "3": {"logprob": QUARTER, "rank": 2, "decoded_token": "�"},
            },
        ],
    }
    (position,) = prompt_scores({}, choice, k=2) or ()
    assert position == TokenScores(
        Candidate(b"z", EIGHTH, 9), (Candidate(b"a", HALF, 1), Candidate(b"", QUARTER, 3))
    )


def test_no_scores_are_none() -> None:
    assert written_scores({"logprobs": None}) is None
    assert prompt_scores({}, {}) is None


def test_nothing_is_left_where_candidates_have_all_the_mass() -> None:
    sure = Candidate(b"a", 1e-8)
    assert residual_log_mass(TokenScores(sure, (sure,))) == -math.inf


@pytest.mark.parametrize("logprob", [None, "x", float("nan"), 0.5])
def test_numbers_that_are_no_log_probabilities_are_refused(logprob: object) -> None:
    entry = {"token": "a", "bytes": [97], "logprob": logprob, "top_logprobs": []}
    with pytest.raises(MalformedScores, match="must be a number of at most 0"):
        written_scores({"logprobs": {"content": [entry]}})


def test_more_mass_than_there_is_is_refused() -> None:
    top = [{"token": token, "logprob": math.log(0.6)} for token in "ab"]
    with pytest.raises(MalformedScores, match=r"sum to at most 1, got 1\.2000"):
        written_scores({"logprobs": {"content": [{"token": "a", "logprob": -1.0, "top_logprobs": top}]}})


def test_prompt_scores_without_ids_are_refused() -> None:
    with pytest.raises(MalformedScores, match="Ask for return_token_ids"):
        prompt_scores({}, {"prompt_logprobs": [None]})
