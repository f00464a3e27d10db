"""Answers that a language model finds neither too unlikely nor too likely."""

import math
from collections.abc import Iterable, Iterator

from limbeck.core.errors import ConfigError
from limbeck.gates.batches import batches
from limbeck.gates.reading import prompt_of, text_of
from limbeck.gates.verdict import ACCEPTED, Row, Scorer, Verdict

_ROWS = 256  # that the scorer is handed at once


def perplexity(
    rows: Iterable[Row],
    scorer: Scorer,
    *,
    maximum: float | None = None,
    minimum: float | None = None,
    column: str | None = None,
) -> Iterator[Verdict]:
    """Let answers through whose perplexity under a language model lies between two edges, both included.

    Thresholds hold for one scorer and one teacher: another teacher's texts need others.

    Args:
        rows: to judge, each alone.
        scorer: mean cross-entropy of an answer after its prompt, in nats a token; NaN for an answer
            without tokens.
        maximum: that passes; none: no edge.
        minimum: that passes; none: no edge.
        column: the text; none: the row's answer.

    Yields:
        score: exp of the mean cross-entropy; reasons `unlikely`, `likely`, and `empty` where there is no
            token.

    Example:
        >>> rows = [{"prompt": "2+2=", "completion": one} for one in ("4", "fish")]
        >>> scorer = lambda pairs: [0.0 if answer == "4" else 3.0 for _, answer in pairs]
        >>> [(round(one.score, 1), one.reason) for one in perplexity(rows, scorer, maximum=5)]
        [(1.0, 'accepted'), (20.1, 'unlikely')]

    Source:
        Tian et al. 2025, arXiv:2505.14464 (a threshold for each teacher).
    """
    if minimum is None and maximum is None:
        raise ConfigError("perplexity must have minimum, maximum or both, got neither. Set an edge.")
    for some in batches(rows, _ROWS):
        losses = scorer([(prompt_of(row), text_of(row, column)) for row in some])
        for loss in losses:
            if math.isnan(loss):
                yield Verdict(None, False, "empty")
                continue
            score = math.exp(min(loss, 700.0))  # beyond is no float
            low, high = minimum is not None and score < minimum, maximum is not None and score > maximum
            reason = "unlikely" if high else "likely" if low else ACCEPTED
            yield Verdict(score, reason == ACCEPTED, reason)
