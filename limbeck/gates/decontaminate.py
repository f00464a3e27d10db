"""Rows that hold a part of an evaluation set."""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from limbeck.core.errors import ConfigError
from limbeck.core.lineage import ID
from limbeck.gates.reading import prompt_of, text_of
from limbeck.gates.verdict import Row, Verdict
from limbeck.gates.word_places import Words, merged, words_of


def decontaminate(
    rows: Iterable[Row],
    against: Sequence[Row],
    memory: MutableMapping[Any, Any],
    *,
    ngram: int = 13,
    exact: bool = True,
    columns: list[str] | None = None,
    against_columns: list[str] | None = None,
) -> Iterator[Verdict]:
    """Refuse rows that share a run of words with an evaluation set, or are one of its prompts.

    Words are compared without case, punctuation and Unicode form.

    Args:
        rows: to judge, each alone.
        against: rows of evaluation sets.
        memory: the runs of words of `against`, about 100 bytes a word; made once.
        ngram: words of a run that is shared; texts of fewer words are found by `exact` alone.
        exact: refuse also a row whose prompt or answer is, as a whole, the prompt of an evaluation row.
        columns: of the rows, each a text of its own; none: prompt and answer.
        against_columns: of the evaluation sets; none: prompt and answer.

    Yields:
        score: the share of the row's words that lie in shared runs; reasons `ngram` and `exact`. The
            detail lists
        every stretch: its text, where it stands (column or part, start and end in characters), and the
        evaluation row.

    Example:
        >>> rows = [{"text": "Well: what IS the capital of France, then?"}, {"text": "the capital of Italy"}]
        >>> found = decontaminate(rows, [{"text": "What is the capital of France?"}], {}, ngram=5)
        >>> [(one.reason, [span["text"] for span in one.detail or ()]) for one in found]
        [('ngram', ['what IS the capital of France']), ('accepted', [])]

    Source:
        Brown et al. 2020, arXiv:2005.14165, appendix C (13 words; there runs that occur more than ten
        times are left out of the comparison, here none is).
    """
    if ngram < 1:
        raise ConfigError(f"ngram must be at least 1, got {ngram}.")
    if "runs" not in memory:
        memory["runs"], memory["wholes"] = _index(against, ngram, against_columns)
    runs, wholes = memory["runs"], memory["wholes"] if exact else {}
    for row in rows:
        parts = {name: words_of(text) for name, text in _texts(row, columns).items()}
        spans, shared = [], 0
        for name, words in parts.items():
            found, count = _spans(name, words, runs, ngram)
            spans += found
            shared += count
        total = sum(len(words.words) for words in parts.values())
        same = [_whole(name, words, wholes) for name, words in parts.items() if words.words in wholes]
        if spans or same:
            reason = "exact" if same else "ngram"
            yield Verdict(1.0 if same else shared / total, False, reason, [*same, *spans])
        else:
            yield Verdict(0.0, True)


Runs = Mapping[tuple[str, ...], str]


def _index(
    against: Sequence[Row], ngram: int, columns: list[str] | None
) -> tuple[dict[tuple[str, ...], str], dict[tuple[str, ...], str]]:
    runs: dict[tuple[str, ...], str] = {}
    wholes: dict[tuple[str, ...], str] = {}
    for place, row in enumerate(against):
        name = str(row.get(ID, place))
        for part, text in _texts(row, columns).items():
            words = words_of(text)
            for _, run in words.runs(ngram):
                runs.setdefault(run, name)
            if part != "answer" and words.words:
                wholes.setdefault(words.words, name)
    return runs, wholes


def _texts(row: Row, columns: list[str] | None) -> dict[str, str]:
    if columns:
        return {name: text_of(row, name) for name in columns}
    prompt, has_text = prompt_of(row), "text" in row
    if has_text and not prompt:
        return {"text": text_of(row)}
    return {"prompt": prompt, **({"answer": text_of(row)} if set(row) - {"prompt", ID} else {})}


def _spans(name: str, words: Words, runs: Runs, ngram: int) -> tuple[list[dict[str, Any]], int]:
    """Stretches that are shared, with the evaluation row of their first run; and how many words they have."""
    hits = [(start, runs[run]) for start, run in words.runs(ngram) if run in runs]
    if not hits:
        return [], 0
    owners = {words.places[start][0]: owner for start, owner in hits}
    stretches = merged([words.stretch(start, start + ngram - 1) for start, _ in hits])
    covered = {place for start, _ in hits for place in range(start, start + ngram)}
    return [
        {"part": name, "start": start, "end": end, "text": words.text[start:end], "row": owners[start]}
        for start, end in stretches
    ], len(covered)


def _whole(name: str, words: Words, wholes: Runs) -> dict[str, Any]:
    start, end = words.stretch(0, len(words.words) - 1)
    return {
        "part": name, "start": start, "end": end, "text": words.text[start:end], "row": wholes[words.words],
    }  # fmt: skip
