"""A server whose scores are not what they seem is refused before all rows are sent."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from transformers import AutoTokenizer

from limbeck.assets import asset_path
from limbeck.core.asking import Failure, FailureClass, RequestFailed
from limbeck.core.errors import StoreError
from limbeck.core.token_bytes import token_bytes
from limbeck.signals.server_probe import probe_server
from tests.signals.recorded.record import MOST
from tests.signals.replayed import VOCABULARY, Replayed, recorded_rows, with_candidates
from tests.signals.test_served import log_probs

AGAIN = 77


def probed(ask, **settings):
    spelling = token_bytes(AutoTokenizer.from_pretrained(asset_path("code_teacher")))
    settings = {"most": MOST, "vocabulary": VOCABULARY, "spelling": spelling, "again": AGAIN, **settings}
    return asyncio.run(probe_server(recorded_rows(), ask, **settings))


def shifted(scores, by):
    """The same with the likeliest id's log-probability moved, which KL is a known function of."""
    return with_candidates(
        scores, lambda rank, one: replace(one, logprob=one.logprob + by) if rank == 0 else one
    )


def failing(message, reason="bad_request"):
    async def ask(request):
        raise RequestFailed(Failure(FailureClass.PERMANENT, reason, message, status=400))

    return ask


def test_a_real_server_passes_and_is_the_model_to_float32():
    ask = Replayed()
    found = probed(ask, local=lambda ids: log_probs(ids))
    assert (found.rows, found.positions) == (4, sum(len(ids) - 1 for ids in recorded_rows()))
    assert found.repeated.most == 0 and found.mode == "raw"
    assert found.local is not None and 0 <= found.local.mean < 1e-6 and found.local.most < 1e-5
    assert "KL(local || served) is" in " ".join(found.said())
    # All rows once; the longest again, at another temperature as well. Only that one is not of the store.
    longest = tuple(max(recorded_rows(), key=len))
    assert [(one.sample, one.temperature) for one in ask.asked if one.token_ids == longest] == [
        (0, 1.0), (AGAIN, 1.0), (AGAIN, 2.0),
    ]  # fmt: skip
    assert len(ask.asked) == len(recorded_rows()) + 2


def test_a_prompt_that_is_answered_in_two_ways_is_refused():
    with pytest.raises(StoreError, match=r"same prompt the same way, got KL .*--no-enable-prefix-caching"):
        probed(Replayed(lambda request, scores: shifted(scores, -0.5 * (request.sample == AGAIN))))


def test_scores_that_follow_the_temperature_are_processed():
    found = probed(Replayed(lambda request, scores: shifted(scores, -0.5 * (request.temperature != 1))))
    assert found.mode == "processed"


def test_a_server_that_samples_from_few_tokens_is_refused():
    def cut(request, scores):
        return with_candidates(scores, lambda rank, one: replace(one, logprob=-9999.0) if rank > 3 else one)

    with pytest.raises(StoreError, match=r"whole distribution.*at 7\d of 7\d .*--generation-config vllm"):
        probed(Replayed(cut))


def test_another_tokenizer_is_found_by_what_its_tokens_are_called():
    def renamed(request, scores):
        return with_candidates(scores, lambda _, one: replace(one, data=b"x" + one.data))

    with pytest.raises(StoreError, match=r"tokenizer of the rows, got another: \d+ of \d+ tokens are spelt"):
        probed(Replayed(renamed))


def test_a_server_of_other_weights_than_the_local_copy_is_refused_unless_it_is_allowed():
    def halved(ids):
        return np.log(np.full((len(ids) - 1, VOCABULARY), 1 / VOCABULARY))

    with pytest.raises(StoreError, match=r"within 0.1 nats of the local copy on average, got \d"):
        probed(Replayed(), local=halved)
    assert probed(Replayed(), local=halved, within=100.0).local.mean > 1


def test_a_server_that_is_not_there_is_said_to_be_so():
    async def ask(request):
        raise RequestFailed(Failure(FailureClass.TRANSIENT, "connection", "the connection failed: refused."))

    with pytest.raises(StoreError, match=r"must answer, got the connection failed.*Look whether it runs"):
        probed(ask)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "Requested prompt logprobs of 64, which is greater than max allowed: 20",
            "--max-logprobs 8 or more, or set payload.topk.max=20",
        ),
        (
            "The decoder prompt (length 257) plus the number of requested output tokens (at least 1) is "
            "longer than the maximum model length of 257.",
            "set max_length to one less than its context",
        ),
        ("max_tokens must be at least 1, got 0.", "set max_length to one less than its context"),
        ("Token id 4096 is out of vocabulary", "Name the tokenizer that the served model was trained with"),
        ("probabilities of a position must sum to at most 1, got 7.1", "--logprobs-mode raw_logprobs"),
        ("unknown field", "A server that knows prompt_logprobs is needed"),
    ],
)  # fmt: skip
def test_what_a_server_refuses_is_said_with_what_to_do(message, said):
    with pytest.raises(StoreError, match=said):
        probed(failing(message))
