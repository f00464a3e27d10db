"""Kinds of model: each is a file of `limbeck/kinds` with one `KIND`, found there by its name.

Names are known without importing anything else; what a kind can do is asked of the kind.
"""

import math
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator

from limbeck.core.config import Config
from limbeck.core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

KindName = str
"""The name of a file of `limbeck/kinds`: what a model is used as."""

AUTO_KIND = "auto"
"""In place of a kind: what the model's configuration says."""

HEADLESS: KindName = "encoder"
"""As what a model is counted whose kind is not known."""

_FOLDER = Path(__file__).parents[1] / "kinds"


def _chosen(name: str) -> str:
    if name != AUTO_KIND and name not in kind_names():
        raise ValueError(f"must be {AUTO_KIND} or one of {', '.join(kind_names())}, got {name!r}.")
    return name


KindChoice = Annotated[str, AfterValidator(_chosen)]
"""A field of a configuration: a kind, or `AUTO_KIND`."""


class ModelKind:
    """What a model is used as, and what can be asked of it.

    Attributes:
        name: of its file.
        auto_class: the class of transformers that loads it.
        pipeline_tag: its task on the hub.
        limits: a sentence on what an evaluation of it does not show.
        scores_tokens: it gives a distribution over the vocabulary for each token it must predict.
        writes: it predicts a text token after token: it can write, and scores a text as a whole.
        encoder_decoder: its prompt goes to an encoder, and what it writes to a decoder.
        has_classes: it scores the named classes of a row.
        packs: rows may lie end to end in its batches.
        storable: the same outputs are asked for in every epoch, so that a store can keep a teacher's.
        embeds: its states are what it is for.
        draws: what it reads and must predict is drawn anew in each step, and for an evaluation once.
        fresh_head: a head that its weights lack is drawn anew, to be trained.
        settings: what it has to be told beside its name: its fields are those of every step that reads it.
        rates: usual peak learning rates of AdamW, each up to a number of parameters; the last has no limit.
    """

    name: ClassVar[KindName]
    auto_class: ClassVar[str]
    pipeline_tag: ClassVar[str]
    limits: ClassVar[str]
    scores_tokens: ClassVar[bool] = False
    writes: ClassVar[bool] = False
    encoder_decoder: ClassVar[bool] = False
    has_classes: ClassVar[bool] = False
    packs: ClassVar[bool] = False
    storable: ClassVar[bool] = False
    embeds: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    fresh_head: ClassVar[bool] = False
    settings: ClassVar[type[Config]] = Config
    # Measured up to 67 M parameters (docs/log.md); above, those that Pythia and Llama were trained at.
    rates: ClassVar[tuple[tuple[float, float], ...]] = (
        (3e6, 3e-3),
        (3e7, 1e-3),
        (3e8, 3e-4),
        (1e9, 1e-4),
        (math.inf, 2e-5),
    )

    @property
    def scores(self) -> bool:
        """It gives a distribution, over the vocabulary or over classes."""
        return self.scores_tokens or self.has_classes

    @property
    def decoder_only(self) -> bool:
        """It reads its prompt and writes in one sequence."""
        return self.writes and not self.encoder_decoder

    def usual_rate(self, parameters: int) -> float:
        """Peak learning rate of AdamW for a model of so many parameters."""
        return next(rate for size, rate in self.rates if parameters < size)

    def is_saved_as(self, architecture: str, config: "PreTrainedConfig") -> bool:
        """Whether a class named in a configuration is of this kind; each class is of one kind at most."""
        raise NotImplementedError


@cache
def kind_names() -> tuple[KindName, ...]:
    """The names of all kinds."""
    return tuple(sorted(file.stem for file in _FOLDER.glob("*.py") if not file.stem.startswith("_")))


def kind_named(name: KindName | None) -> ModelKind:
    """The kind of this name; of None, which is not known, one that can do nothing.

    Raises:
        ModelError: there is none.
    """
    if name is None:
        return ModelKind()
    if name not in kind_names():
        raise ModelError(f"kind must be one of {', '.join(kind_names())}, got '{name}'.")
    kind: ModelKind = import_module(f"limbeck.kinds.{name}").KIND
    return kind


def kind_settings() -> list[type[Config]]:
    """What kinds have to be told, of those that have to be told something."""
    declared = [kind_named(name).settings for name in kind_names()]
    return [one for one in declared if one is not Config]


def kinds_that(ability: str) -> str:
    """The names of the kinds with an ability (an attribute of `ModelKind`), as a message lists them."""
    return " or ".join(name for name in kind_names() if getattr(kind_named(name), ability))
