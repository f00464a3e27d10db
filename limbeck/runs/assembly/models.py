"""What a model word stands for, and what can be known of a model before it is loaded or made."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from limbeck.assets import asset_names, asset_path
from limbeck.core.class_names import own_class_names
from limbeck.core.errors import ModelError
from limbeck.core.kinds import HEADLESS, KindName
from limbeck.core.model_words import model_word
from limbeck.core.models import (
    dtype_of,
    estimate_parameters,
    kind_of,
    load_tokenizer,
    read_config,
    said_dtype,
    saved_dtype,
)
from limbeck.core.positions import positions_of
from limbeck.core.training import TrainingSettings
from limbeck.recipes.students import BYTES, Student
from limbeck.students import (
    add_lora,
    byte_tokenizer,
)

_ASSETS = "assets/"
_LENGTH = 1024  # as the steps have it
DEPTH, ENCODER_DEPTH = "num_hidden_layers", "encoder_layers"
DECODER_DEPTHS = ("num_decoder_layers", "decoder_layers")


@dataclass(frozen=True)
class ModelInfo:
    """A model before it exists or is loaded.

    Attributes:
        config: its configuration.
        kind: what it is used as; None where its configuration does not say.
        tokenizer: folder or id that its tokenizer comes from, or `bytes` (see `tokenizer_of`).
        parameters: number of weights.
        classes: names of a tuned class head in the order of its scores; empty without one.
        saved: dtype that its weights lie in on disk.
    """

    config: PreTrainedConfig
    kind: KindName | None
    tokenizer: str
    parameters: int
    classes: tuple[str, ...] = ()
    saved: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """Of the model, as messages say it."""
        return model_word(self.tokenizer).said

    @property
    def width(self) -> int:
        """Size of its hidden states."""
        return int(self.config.get_text_config().hidden_size)

    @property
    def depth(self) -> int:
        """Number of layers of which states and attention are counted; of a seq2seq model, the decoder's."""
        return decoder_depth(self.config) if self.config.is_encoder_decoder else encoder_depth(self.config)

    @property
    def positions(self) -> int | None:
        """Longest row it was made for; None where its configuration does not say."""
        return positions_of(self.config)

    @property
    def vocabulary(self) -> int:
        """Columns of its head."""
        return int(self.config.get_text_config().vocab_size)


def default_length(*words: str) -> int:
    """Tokens of a row where nobody says it: `_LENGTH`, or what the shortest of these models can read."""
    limits = [positions_of(read_config(located(word))) for word in words]
    return min([_LENGTH, *(limit for limit in limits if limit is not None)])


def located(word: str) -> str:
    """The model that a word means, when it is no `out`: assets of the package by their name; options stay."""
    named = model_word(word)
    name = named.place.removeprefix(_ASSETS)
    if name in asset_names() and not (Path(named.place) / "config.json").exists():
        return replace(named, place=str(asset_path(name))).joined
    if named.place.startswith("~"):
        return replace(named, place=str(Path(named.place).expanduser())).joined
    return word


def loaded_dtype(word: str, shape: ModelInfo) -> torch.dtype:
    """The dtype in which a model that is not trained is loaded."""
    return dtype_of(model_word(word), shape.saved, "auto")


def trained_dtype(student: Student, shape: ModelInfo) -> torch.dtype:
    """The dtype in which a student is trained."""
    return dtype_of(model_word(student.origin), shape.saved, "float32")


def exported_dtype(student: Student, saved: torch.dtype) -> torch.dtype:
    """The dtype in which a student is saved: what it says, else that of the model it is made from."""
    return dtype_of(model_word(student.origin), saved, "auto")


def with_adapters(student: Any, settings: TrainingSettings) -> Any:
    """A student with the LoRA adapters that a training asks for.

    Raises:
        ModelError: layers that are not there, or that an adapter could not speak for.
    """
    return add_lora(
        student,
        r=settings.lora_r,
        alpha=settings.lora_alpha,
        dropout=settings.lora_dropout,
        target_modules=settings.lora_target_modules or "all-linear",
    )


def read_info(word: str, kind: KindName | None = None) -> ModelInfo:
    """The shape of a model on disk or on the hub.

    Raises:
        ModelError: there is no such model.
    """
    place = located(word)
    config = read_config(place)
    known = kind or _kind(config)
    owner = model_word(place).without("dtype").joined
    tokenizer = owner if owner != BYTES else f"./{BYTES}"  # a folder of that name, not the word
    parameters = estimate_parameters(config, known or HEADLESS)
    return ModelInfo(config, known, tokenizer, parameters, own_class_names(config), saved_dtype(config))


def tokenizer_of(owner: ModelInfo | Student, place: str | None = None) -> Any:
    """The tokenizer of a model that is known by its shape, or of a student that is made from one.

    Args:
        owner: whose tokenizer it is.
        place: folder or id of the model that a student is made from, whose tokenizer it takes by default.

    Raises:
        ModelError: no tokenizer there, or one with neither a pad nor an end token.
    """
    word = owner.tokenizer
    if word == BYTES:
        return byte_tokenizer()
    return load_tokenizer(str(place) if word is None else located(word))


def said_of_dtypes(student: Student, shape: ModelInfo, verb: str) -> list[str]:
    """A sentence on the dtypes in which a student is made or trained, and saved, if not float32."""
    worked, saved = trained_dtype(student, shape), exported_dtype(student, shape.saved)
    if (worked, saved) == (torch.float32, torch.float32):
        return []
    return [f"The student is {verb} in {said_dtype(worked)} and saved in {said_dtype(saved)}."]


def encoder_depth(config: PreTrainedConfig) -> int:
    """Number of layers; of a seq2seq model, of its encoder."""
    text = config.get_text_config()
    return int(getattr(text, ENCODER_DEPTH, None) or getattr(text, DEPTH))


def decoder_depth(config: PreTrainedConfig) -> int:
    """Number of layers of a seq2seq model's decoder."""
    found = [getattr(config, name) for name in DECODER_DEPTHS if getattr(config, name, None)]
    return int(found[0]) if found else encoder_depth(config)


def _kind(config: PreTrainedConfig) -> KindName | None:
    try:
        return kind_of(config)
    except ModelError:
        return None
