"""What vLLM said of four rows, replayed as a teacher that is asked; see `recorded/README.md`."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache

from limbeck.core.asking import Candidate, Reply, Request, TokenScores, Usage
from limbeck.endpoint.logprobs import prompt_scores
from limbeck.signals.served import SentRow, top_of_scores
from limbeck.signals.support import Top
from tests.signals.recorded.record import HERE, MOST, rendered

Scores = tuple[TokenScores, ...]
VOCABULARY = 4096  # of the code teacher


@cache
def replies() -> dict[tuple[int, ...], Reply]:
    """Answers by the ids that were sent."""
    found = {}
    for line in (HERE / "answers.jsonl").read_text().splitlines():
        body = json.loads(line)
        (choice,) = body["choices"]
        found[tuple(choice["prompt_token_ids"])] = Reply(
            text=choice["text"],
            finish="length",
            usage=Usage(prompt=body["usage"]["prompt_tokens"], completion=1),
            prompt_scores=prompt_scores(body, choice, k=MOST),
            served_model=body["model"],
        )
    return found


def recorded_rows() -> list[list[int]]:
    """The token ids of all rows."""
    return [list(ids) for ids in rendered()["input_ids"]]


def score_all(rows: Iterable[SentRow]) -> Iterator[Top]:
    """What the record says of rows, asked no further ahead than it is read."""
    for row in rows:
        scores = replies()[tuple(row.ids)].prompt_scores
        yield top_of_scores(scores, row.ids, row.kept, most=MOST, vocabulary=VOCABULARY)


def with_candidates(scores: Scores, change: Callable[[int, Candidate], Candidate]) -> Scores:
    """The same with each candidate changed, given its rank from 0."""
    return tuple(
        replace(one, top=tuple(change(rank, each) for rank, each in enumerate(one.top))) for one in scores
    )


class Replayed:
    """An `Ask` that answers from the record.

    Args:
        change: of the scores of each answer, given the request.
    """

    def __init__(self, change: Callable[[Request, Scores], Scores | None] = lambda _, scores: scores) -> None:
        self.change = change
        self.asked: list[Request] = []

    async def __call__(self, request: Request) -> Reply:
        """The recorded answer, changed."""
        self.asked.append(request)
        assert request.token_ids is not None
        reply = replies()[request.token_ids]
        assert reply.prompt_scores is not None
        return replace(reply, prompt_scores=self.change(request, reply.prompt_scores))
