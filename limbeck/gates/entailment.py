"""Does one text follow from another, by any classifier of pairs?"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from limbeck.core.checks import check_fraction
from limbeck.core.class_names import folded
from limbeck.core.errors import ConfigError
from limbeck.core.lookup import did_you_mean
from limbeck.gates.batches import batches
from limbeck.gates.reading import prompt_of, text_of
from limbeck.gates.verdict import Classifier, Row, Verdict

_ROWS = 256  # that the classifier is handed at once


def entailment(
    rows: Iterable[Row],
    classifier: Classifier,
    *,
    threshold: float = 0.75,
    direction: Literal["forward", "backward", "both"] = "forward",
    premise: str | None = None,
    hypothesis: str | None = None,
    label: str = "entailment",
) -> Iterator[Verdict]:
    """Let rows through of which one text follows from the other with enough probability.

    Args:
        rows: to judge, each alone.
        classifier: pairs of texts -> the probability of every class by its name, as its config names them.
        threshold: probability that passes, in [0, 1], included.
        direction: premise to hypothesis, hypothesis to premise, or both of them.
        premise: its column; none: the row's prompt.
        hypothesis: its column; none: the row's answer.
        label: the class that says `it follows`, by its name in the classifier's config.

    Yields:
        score: the probability; the smaller one of two. Reasons `forward` and `backward` say which fails.

    Raises:
        ConfigError: the classifier has no class of that name.

    Example:
        >>> def classifier(pairs):
        ...     return [{"entailment": 0.9 if b in a else 0.1, "neutral": 0.0} for a, b in pairs]
        >>> rows = [{"text_a": "a red car", "text_b": "red"}, {"text_a": "a car", "text_b": "a bus"}]
        >>> [one.reason for one in entailment(rows, classifier)]
        ['accepted', 'forward']

    Source:
        Jung et al. 2023, arXiv:2305.16635 (0.75, both directions); jaehunjung1/impossible-distillation,
        `pipeline/filter.py`, where the class is taken by its number 1.
    """
    check_fraction(threshold=threshold)
    for some in batches(rows, _ROWS):
        pairs = [(_premise(row, premise), text_of(row, hypothesis)) for row in some]
        turned = [(second, first) for first, second in pairs]
        asked = {"forward": pairs, "backward": turned, "both": pairs + turned}[direction]
        found = [probability_of(one, label) for one in classifier(asked)]
        forward = found[: len(pairs)] if direction != "backward" else [1.0] * len(pairs)
        backward = found[-len(pairs) :] if direction != "forward" else [1.0] * len(pairs)
        for there, back in zip(forward, backward, strict=True):
            reason = "forward" if there < threshold else "backward" if back < threshold else None
            score = min(there, back)
            yield Verdict(score, True) if reason is None else Verdict(score, False, reason)


def _premise(row: Row, column: str | None) -> str:
    return prompt_of(row) if column is None else text_of(row, column)


def probability_of(classes: Mapping[str, float], label: str) -> float:
    """What a classifier gives the class of a name.

    Raises:
        ConfigError: it has no such class.
    """
    for name, probability in classes.items():
        if folded(name) == folded(label):
            return float(probability)
    raise ConfigError(
        f"label must be a class of the classifier, got '{label}'.{did_you_mean(label, classes)} Its config "
        "names the classes in id2label."
    )
