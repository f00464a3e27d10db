"""A model as the teacher of a training."""

from dataclasses import dataclass
from functools import cached_property

from limbeck.core.kinds import kind_named
from limbeck.core.models import read_config
from limbeck.core.positions import positions_of
from limbeck.recipes.teachers import ModelTeacher
from limbeck.runs.assembly.teachers.opened import Taught
from limbeck.runs.assembly.views import OwnView
from limbeck.teachers import LocalTeacher, shared_vocabulary
from limbeck.teachers.protocol import Teacher


@dataclass(frozen=True)
class OpenedModel:
    """A model that is found, and loaded when it is to answer."""

    part: ModelTeacher
    path: str
    taught: Taught

    @property
    def shared(self) -> int | None:
        """Token ids that its tokenizer shares with the student's.

        Raises:
            VocabularyError: the tokenizers differ.
        """
        taught, word = self.taught, self.part.model
        if not kind_named(taught.kind).scores_tokens:
            return None
        size = read_config(taught.work.model_place(word)).get_text_config().vocab_size
        own = taught.work.load_tokenizer(word)
        return shared_vocabulary(taught.tokenizer, own, taught.size, size).size

    @cached_property
    def _view(self) -> OwnView | None:
        work, word = self.taught.work, self.part.model
        positions = positions_of(read_config(work.model_place(word)))
        return self.taught.own_view(self.part.view, work.load_tokenizer(word), positions)

    def answering(self, vocabulary: int | None) -> Teacher:
        """The model, frozen, on this process's device."""
        taught = self.taught
        pad = int(taught.tokenizer.pad_token_id)
        model = taught.work.load_model(self.part.model, taught.kind, taught.label_names, pad=pad)
        teacher = LocalTeacher(model, vocabulary, noise=self.part.noise, seed=taught.step.seed)
        return taught.viewing(teacher.to(taught.work.device), self._view, vocabulary)
