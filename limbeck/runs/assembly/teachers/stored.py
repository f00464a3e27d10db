"""A store as the teacher of a training."""

from dataclasses import dataclass
from functools import cached_property

from limbeck.recipes.teachers import StoredTeacher as StoredPart
from limbeck.runs.assembly.stores import (
    captured_length,
    check_rows,
    open_store,
    row_checksums,
    shared_with_store,
    tokenizer_of_store,
)
from limbeck.runs.assembly.teachers.opened import Taught
from limbeck.runs.assembly.views import OwnView
from limbeck.signals.reader import Signals
from limbeck.teachers import StoredTeacher
from limbeck.teachers.protocol import Teacher


@dataclass(frozen=True)
class OpenedStore:
    """A store that is found to hold the rows of the training."""

    part: StoredPart
    path: str
    taught: Taught

    @cached_property
    def _view(self) -> OwnView | None:
        signals = self._open(verify=False)
        return self.taught.own_view(self.part.view, tokenizer_of_store(signals), captured_length(signals))

    @cached_property
    def _signals(self) -> Signals:
        """The store.

        Raises:
            StoreError: it was captured from other rows, or cannot be read.
        """
        view, taught = self._view, self.taught
        signals = self._open(verify=True)
        if view is None:
            check_rows(signals, row_checksums(taught.rows), taught.tokenizer, taught.rendering)
        else:
            own = tokenizer_of_store(signals)
            check_rows(signals, row_checksums(view.rendered), own, view.rendering)
        return signals

    @property
    def shared(self) -> int | None:
        """Token ids that the captured teacher shared with the student.

        Raises:
            VocabularyError: the tokenizers differ.
            StoreError: it was captured from other rows, or cannot be read.
        """
        return shared_with_store(self._signals, self.taught.tokenizer, self.taught.size)

    def answering(self, vocabulary: int | None) -> Teacher:
        """The store, read as the batches need it."""
        return self.taught.viewing(StoredTeacher(self._signals, vocabulary), self._view, vocabulary)

    def _open(self, *, verify: bool) -> Signals:
        folder = self.taught.work.store_place(self.part.signals)
        return open_store(folder, f"teacher.{self.path}signals", verify=verify)
