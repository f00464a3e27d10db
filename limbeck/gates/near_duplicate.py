"""Rows that share most of their runs of words with an earlier one: MinHash and LSH of datasketch."""

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from typing import Any

from limbeck.core.checks import check_inside_fraction
from limbeck.core.lineage import ID
from limbeck.gates.exact_duplicate import normalised
from limbeck.gates.optional import imported
from limbeck.gates.reading import all_text
from limbeck.gates.verdict import Row, Verdict


def near_duplicate(
    rows: Iterable[Row],
    memory: MutableMapping[Any, Any],
    against: Sequence[Row] = (),
    *,
    threshold: float = 0.8,
    words: int = 5,
    permutations: int = 128,
    seed: int = 1,
    columns: list[str] | None = None,
) -> Iterator[Verdict]:
    """Refuse a row whose runs of words are nearly those of an earlier row that passed.

    The order of the rows counts: of two that are alike the first one passes.

    Args:
        rows: to judge, in order.
        memory: the hashes of what passed, about 1 KiB a row; empty at first.
        against: rows that count as earlier ones; none: no such.
        threshold: Jaccard similarity of the sets of runs from which on a row is refused, in (0, 1).
        words: in a run, without case and punctuation; a shorter text is one run.
        permutations: of a MinHash; the error of the similarity is about 1 / sqrt of it.
        seed: of the permutations.
        columns: whose texts are compared together; none: prompt and answer.

    Yields:
        score: the estimated similarity to the nearest candidate, 0 without one; reason `near`.

    Source:
        Broder 1997; threshold and runs of five words as in Lee et al. 2022, arXiv:2107.06499 (0.8, with an
        edit distance behind it that is left out here). By datasketch.
    """
    check_inside_fraction(threshold=threshold)
    known = _Known(memory, threshold, permutations, seed, words)
    if "seeded" not in memory:
        memory["seeded"] = True
        for place, one in enumerate(against):
            known.add(known.hashed(all_text(one, columns or ())), f"{one.get(ID, place)} of the rows given")
    for row in rows:
        hashed = known.hashed(all_text(row, columns or ()))
        score, name = known.nearest(hashed)
        if score >= threshold:
            yield Verdict(score, False, "near", f"as row {name}")
            continue
        memory["rows"] = memory.get("rows", 0) + 1
        known.add(hashed, str(row.get(ID, memory["rows"] - 1)))
        yield Verdict(score, True)


class _Known:
    """What passed so far, in the memory of the gate."""

    def __init__(
        self, memory: MutableMapping[Any, Any], threshold: float, permutations: int, seed: int, words: int
    ) -> None:
        self._library = imported("datasketch", "near_duplicate")
        if "index" not in memory:
            memory["index"] = self._library.MinHashLSH(threshold=threshold, num_perm=permutations)
            memory["hashes"] = []
        self._index, self._hashes = memory["index"], memory["hashes"]
        self._permutations, self._seed, self._words = permutations, seed, words

    def hashed(self, text: str) -> Any:
        """The MinHash of a text's runs of words."""
        said = normalised(text).split()
        starts = range(max(1, len(said) - self._words + 1))
        runs = {" ".join(said[start : start + self._words]).encode() for start in starts}
        made = self._library.MinHash(num_perm=self._permutations, seed=self._seed)
        made.update_batch(sorted(runs))
        return self._library.LeanMinHash(made)

    def add(self, hashed: Any, name: str) -> None:
        """Remember a row."""
        self._index.insert(len(self._hashes), hashed, check_duplication=False)
        self._hashes.append((hashed, name))

    def nearest(self, hashed: Any) -> tuple[float, str]:
        """The most similar of the candidates, and its name; the earlier one of two."""
        found = [(self._hashes[key][0].jaccard(hashed), -key) for key in self._index.query(hashed)]
        if not found:
            return 0.0, ""
        score, place = max(found)
        return float(score), self._hashes[-place][1]
