"""A judge's scores: their mean, what cannot be read, what is not answered."""

import asyncio

from limbeck.core.asking import Failure, FailureClass, Reply, Request, RequestFailed
from limbeck.gates import judge

ROWS = [{"id": text, "prompt": "2+2?", "completion": text} for text in ("four", "five", "mute", "gone")]
SCORES = {"four": [9, 6], "five": [3, 4]}


async def ask(request: Request) -> Reply:
    said = str(request.messages)
    name = next(row["completion"] for row in ROWS if row["completion"] in said)
    if name == "gone":
        raise RequestFailed(Failure(FailureClass.PERMANENT, "content_filter", "not this one"))
    if name == "mute":
        return Reply("no score")
    return Reply(f"Because. [[{SCORES[name][request.sample]}]]")


def judged(**settings):
    async def all_of_them():
        return [verdict async for verdict in judge(ROWS, ask, **settings)]

    return [(one.score, one.reason) for one in asyncio.run(all_of_them())]


def test_a_score_that_reaches_the_minimum_passes() -> None:
    rest = [(None, "unparsed"), (None, "unanswered")]
    assert judged(minimum=9) == [(9.0, "accepted"), (3.0, "low"), *rest]


def test_several_scores_are_averaged() -> None:
    assert judged(minimum=7.5, samples=2)[:2] == [(7.5, "accepted"), (3.5, "low")]
    assert judged(minimum=7.6, samples=2)[0] == (7.5, "low")
