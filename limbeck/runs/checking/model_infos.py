"""Models of a recipe, known by their configuration: each is looked at once, and refused once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as compute
from datasets import Dataset

from limbeck.core.errors import ConfigError, ModelError, Problem
from limbeck.core.kinds import KindName, kind_names
from limbeck.core.lookup import did_you_mean
from limbeck.core.model_words import model_word, place_of
from limbeck.core.models import check_weights
from limbeck.recipes.steps import Evaluate, Train
from limbeck.runs.assembly.models import ModelInfo, located, read_info, tokenizer_of
from limbeck.runs.checking.problems import Problems
from limbeck.teachers import shared_vocabulary


@dataclass
class ModelInfos:
    """Shapes and tokenizers by word or out.

    Attributes:
        outs: of the steps that make models.
        problems: where a wrong model is noted.
        infos: of models that were read, and of those that steps make as far as these are known.
    """

    outs: Sequence[str]
    problems: Problems
    infos: dict[str, ModelInfo] = field(default_factory=dict)
    _tokenizers: dict[str, Any] = field(default_factory=dict)
    _unread: set[str] = field(default_factory=set)
    _refused: set[tuple[str, str]] = field(default_factory=set)
    _checked: set[tuple[str, KindName, int | None]] = field(default_factory=set)

    def info(self, word: str, where: str) -> ModelInfo | None:
        """The shape of a model; None where it is wrong (noted) or depends on a step that is."""
        if place_of(word) in self.outs:
            return self.infos.get(place_of(word))
        if word not in self.infos and word not in self._unread:
            self._unread.add(word)  # a wrong model is said once, where it is named first
            with self.problems.at(where):
                self.infos[word] = self._read(word)
        return self.infos.get(word)

    def teachers(self, step: Train | Evaluate, where: str) -> dict[str, ModelInfo]:
        """Shapes of the models that teach, by path; `teacher` of a single one."""
        words = step.teacher.models if step.teacher is not None else {}
        found = {path: self.info(word, f"{where}.teacher.{path}") for path, word in words.items()}
        return {
            "teacher" if path == "model" else f"teacher.{path}": shape
            for path, shape in found.items()
            if shape is not None
        }

    def tokenizer(self, shape: ModelInfo) -> Any:
        """The tokenizer of a model."""
        if shape.tokenizer not in self._tokenizers:
            self._tokenizers[shape.tokenizer] = tokenizer_of(shape)
        return self._tokenizers[shape.tokenizer]

    def check_weights(self, word: str, kind: KindName, num_labels: int | None) -> None:
        """Raise what loading a model from its files would raise; each is looked at, and refused, once.

        Raises:
            ModelError: see `core.models.check_weights`.
        """
        key = (model_word(word).without("dtype").joined, kind, num_labels)
        if key not in self._checked:
            self._checked.add(key)
            check_weights(located(word), kind, num_labels=num_labels)

    def shared(self, student: ModelInfo, teacher: ModelInfo) -> str | None:
        """A sentence on the vocabulary that both share; None where there is nothing to say, or it was said.

        Raises:
            VocabularyError: they share none.
        """
        pair = (student.tokenizer, teacher.tokenizer)
        if student.tokenizer == teacher.tokenizer or pair in self._refused:
            return None
        self._refused.add(pair)  # what is wrong with a pair is said once
        shared = shared_vocabulary(
            self.tokenizer(student), self.tokenizer(teacher), student.vocabulary, teacher.vocabulary
        )
        self._refused.remove(pair)
        return shared.note

    def _read(self, word: str) -> ModelInfo:
        place = place_of(word)
        near = did_you_mean(place, self.outs)
        is_asset = place_of(located(word)) != place
        if "/" not in place and "Did you mean" in near and not is_asset and not Path(place).exists():
            raise ModelError(f"unknown model '{word}'.{near} That is made by a step of this recipe.")
        return read_info(word)


def kind_used(wanted: str, shape: ModelInfo) -> KindName:
    """What a model is used as: what a step says, or what its configuration does.

    Raises:
        ConfigError: neither says it.
    """
    if wanted != "auto":
        return wanted
    if shape.kind is None:
        raise ConfigError(
            Problem(
                "model_kind",
                f"must be one of {', '.join(kind_names())} here, got auto, which cannot be told "
                f"from the model's class ({', '.join(shape.config.architectures or ['none named'])}).",
            )
        )
    return shape.kind


def check_positions(rendered: Dataset, *shapes: ModelInfo | None) -> None:
    """Refuse rendered rows that are longer, or hold higher token ids, than one of the models can read."""
    ids = rendered.with_format("arrow")[:]["input_ids"]
    check_longest(compute.max(compute.list_value_length(ids)).as_py() or 0, *shapes)
    highest = compute.max(compute.list_flatten(ids)).as_py() or 0
    for shape in shapes:
        if shape is not None and highest >= shape.vocabulary:
            raise ConfigError(
                f"rows must hold ids below {shape.vocabulary:,}, the embedding of {shape.name}, got "
                f"{highest:,}. Its tokenizer has more tokens than it: take the one it was saved with."
            )


def check_longest(longest: int, *shapes: ModelInfo | None) -> None:
    """Refuse a row of so many tokens where one of the models cannot read it."""
    for shape in shapes:
        if shape is not None and shape.positions is not None and longest > shape.positions:
            raise ConfigError(
                Problem(
                    "max_length",
                    f"must be at most {shape.positions}, the positions of {shape.name}, got rows of "
                    f"{longest} tokens. Set max_length={shape.positions}.",
                )
            )
