"""What a student is made of and with, whatever its form."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from limbeck.core.batch import Batch
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.models import load_model


@dataclass(frozen=True)
class Making:
    """A student about to be made.

    Attributes:
        place: of the model that it is made from.
        kind: what it is used as.
        seed: of new weights.
        label_names: classes of a classifier.
        device: where it may be computed with.
        read: the rows that it is made by, in batches; None where the step has none.
    """

    place: str
    kind: KindName
    seed: int
    label_names: tuple[str, ...] = ()
    device: torch.device | str = "cpu"
    read: Callable[[], Iterator[Batch]] | None = None

    def load(self) -> Any:
        """The model that it is made from."""
        names = self.label_names if kind_named(self.kind).has_classes else None
        return load_model(self.place, self.kind, label_names=names or None)
