"""A source whose batches have a draw of their own: which tokens are hidden, and the like."""

from collections.abc import Callable, Sequence

from limbeck.core.batch import Batch
from limbeck.core.fingerprint import fingerprint
from limbeck.rows.source import PaddedSource


class DrawnSource:
    """The entries of another source, each as a fixed draw makes it.

    Args:
        source: of the entries as they are.
        draw: a pure function of a batch, whose rows are drawn one by one.
        name: says which draw, in the fingerprint.
    """

    def __init__(self, source: PaddedSource, draw: Callable[[Batch], Batch], name: Sequence[object]) -> None:
        self._source, self._draw, self._name = source, draw, list(name)
        self.lengths = source.lengths

    def __len__(self) -> int:
        return len(self._source)

    def fingerprint(self) -> str:
        """Equal for equal entries and draws."""
        return fingerprint([type(self).__name__, self._source.fingerprint(), self._name])

    def batch(self, indices: Sequence[int]) -> Batch:
        """The rows at `indices`, in that order."""
        return self._draw(self._source.batch(indices))
