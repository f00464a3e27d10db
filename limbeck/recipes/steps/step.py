"""What every kind of step has; the kinds are the other modules of this folder."""

from typing import ClassVar, Literal

from limbeck.core.config import Config

Makes = Literal["rows", "model", "store", "evaluation", "comparison"]
"""What other steps find under the `out` of one."""


class Step(Config):
    """One step of a recipe: what it reads and makes, as frozen data."""

    kind: ClassVar[str]
    makes: ClassVar[Makes]
    parts: ClassVar[tuple[str, ...]] = ()
    """Of the rows that it makes: each is read as `<out>.<part>`."""

    out: str
