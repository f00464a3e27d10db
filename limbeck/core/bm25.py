"""BM25: how well texts fit a query, by the words that they share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Bm25:
    """Texts, ready to be searched.

    Example:
        >>> Bm25(["red ink", "a red pen, a red pen", "blue"]).best("the red pen", 2)
        [1, 0]

    Source:
        Robertson and Zaragoza 2009, with the idf of Lucene, log(1 + (N - n + 0.5) / (n + 0.5)), which is
        never negative; k1 1.2 and b 0.75 from there. Words are runs of two letters or digits and more, in
        lower case; none is left out or cut to its stem.
    """

    def __init__(self, texts: Sequence[str], *, k1: float = 1.2, b: float = 0.75) -> None:
        """Count the words of the texts.

        Args:
            texts: at least one, and at least one of them with a word.
            k1: above 0: how soon more of the same word stops to count.
            b: in [0, 1]: how much longer texts are held to more words.

        Raises:
            ValueError: no text has a word.
        """
        from sklearn.feature_extraction.text import CountVectorizer

        self._words = CountVectorizer()
        counts = self._words.fit_transform(texts).astype(np.float64).tocsc()
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        having = np.diff(counts.indptr)
        idf = np.log(1 + (len(texts) - having + 0.5) / (having + 0.5))
        norm = k1 * (1 - b + b * lengths / lengths.mean())
        of_column = np.repeat(np.arange(counts.shape[1]), having)
        counts.data = idf[of_column] * counts.data * (k1 + 1) / (counts.data + norm[counts.indices])
        self._weights = counts.tocsr()

    def scores(self, query: str) -> NDArray[np.float64]:
        """How well each text fits; 0: it has none of the words."""
        asked = self._words.transform([query])
        return np.asarray((self._weights @ asked.T).todense()).ravel()

    def best(self, query: str, count: int) -> list[int]:
        """Places of texts that share a word with the query, best first; of equal ones the earlier."""
        scores = self.scores(query)
        order = np.argsort(-scores, kind="stable")[:count]
        return [int(place) for place in order if scores[place] > 0]
