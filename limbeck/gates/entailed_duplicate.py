"""Of several pairs from one source, one for each meaning: the pairs' texts as a graph of entailment."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from limbeck.core.class_names import folded
from limbeck.gates.entailment import probability_of
from limbeck.gates.reading import prompt_of, text_of
from limbeck.gates.verdict import Classifier, Row, Verdict, verdicts_of


def entailed_duplicate(
    groups: Iterable[Sequence[Row]],
    classifier: Classifier,
    *,
    premise: str | None = None,
    hypothesis: str | None = None,
    label: str = "entailment",
) -> Iterator[Verdict]:
    """Of the pairs of one group whose texts entail each other, let the one through that is least a copy.

    First texts are joined where one entails another; of each set that hangs together the pair passes whose
    second text entails its first one least. Then the same with the second texts of those that are left. Rows
    that an earlier gate refused take no part.

    Args:
        groups: pairs from one source together.
        classifier: pairs of texts -> the probability of every class by its name.
        premise: the column of the first text; none: the row's prompt.
        hypothesis: that of the second; none: the row's answer.
        label: the class that says `it follows`; an edge is where it is the likeliest.

    Yields:
        score: the probability that the second text entails the first; reasons `first` and `second` say in
        which texts a pair has a better double, `refused` that it took no part.

    Example:
        >>> def classifier(pairs):
        ...     return [{"entailment": 0.9 if a[0] == b[0] else 0.1, "neutral": 0.5} for a, b in pairs]
        >>> texts = [("a1", "x"), ("a2", "y"), ("b1", "z")]
        >>> group = [{"text_a": first, "text_b": second} for first, second in texts]
        >>> [one.reason for one in entailed_duplicate([group], classifier)]
        ['accepted', 'first', 'accepted']

    Source:
        Jung et al. 2023, arXiv:2305.16635; jaehunjung1/impossible-distillation,
        `pipeline/filter.py:remove_duplicates`. Texts that are equal are one here, also where they come from
        two candidates.
    """
    for group in groups:
        firsts = [prompt_of(row) if premise is None else text_of(row, premise) for row in group]
        seconds = [text_of(row, hypothesis) for row in group]
        taking = [place for place, row in enumerate(group) if all(one["passed"] for one in verdicts_of(row))]
        backward = classifier([(seconds[place], firsts[place]) for place in taking])
        scores = {
            place: probability_of(classes, label) for place, classes in zip(taking, backward, strict=True)
        }
        left = _least(taking, firsts, scores, classifier, label)
        kept = _least(left, seconds, scores, classifier, label)
        for place in range(len(group)):
            if place not in scores:
                yield Verdict(None, False, "refused")
            elif place in kept:
                yield Verdict(scores[place], True)
            else:
                yield Verdict(scores[place], False, "second" if place in left else "first")


def _least(
    places: Sequence[int],
    texts: Sequence[str],
    scores: Mapping[int, float],
    classifier: Classifier,
    label: str,
) -> list[int]:
    """Of each set of texts that entail each other, the place with the lowest score."""
    distinct = list(dict.fromkeys(texts[place] for place in places))
    asked = [(first, second) for first in distinct for second in distinct if first != second]
    owner = {text: text for text in distinct}

    def root(text: str) -> str:
        while owner[text] != text:
            text = owner[text]
        return text

    for (first, second), classes in zip(asked, classifier(asked) if asked else (), strict=True):
        if folded(max(classes, key=lambda name: classes[name])) == folded(label):
            owner[root(second)] = root(first)
    best: dict[str, int] = {}
    for place in places:
        name = root(texts[place])
        if name not in best or scores[place] < scores[best[name]]:
            best[name] = place
    return sorted(best.values())
