"""Scores come out of a journal as they went in, bit by bit."""

import json
import math

from limbeck.core.asking import Candidate, TokenScores
from limbeck.endpoint.scores_codec import packed_scores, unpacked_scores

A, B, NAMELESS = Candidate(b"a", -0.5, 7), Candidate(b"\xff", math.log(0.3), 8), Candidate(b"", -9999.0)


def again(scores):
    return unpacked_scores(json.loads(json.dumps(packed_scores(scores))))


def test_scores_are_the_same_whatever_their_tokens_and_numbers():
    for scores in (
        (),
        (TokenScores(A),),
        (TokenScores(A, (B, A)), TokenScores(NAMELESS, (A,)), TokenScores(B)),
        (TokenScores(Candidate(b"a", -math.inf, None), (Candidate(b"a", -0.0, 2**31),)),),
    ):
        assert again(scores) == scores


def test_float32_log_probabilities_take_four_bytes_and_others_eight():
    exact = tuple(TokenScores(Candidate(b"a", -0.25 * step, 7)) for step in range(300))
    packed = packed_scores(exact)
    assert packed["float32"] and len(packed["logprobs"]) == 4 * 300 * 4 // 3
    assert packed["tokens"] == [["YQ==", 7]]
    assert not packed_scores((TokenScores(Candidate(b"a", -0.1, 7)),))["float32"]
    assert unpacked_scores(None) is None
