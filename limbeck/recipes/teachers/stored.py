"""A teacher that was asked before: a store of its answers."""

from typing import Annotated, ClassVar

from pydantic import Field

from limbeck.recipes.references import Names
from limbeck.recipes.teachers.capabilities import DISTRIBUTION
from limbeck.recipes.teachers.teacher import Teacher


class StoredTeacher(Teacher):
    """What a model said of rows, kept by a capture; only training reads one."""

    form: ClassVar[str] = "signals"
    example: ClassVar[str] = "{signals: DIR}"

    signals: Annotated[str, Names("store")] = Field(
        description="a store: a folder, or the `out` of a capture step"
    )

    @property
    def said(self) -> str:
        """What it is, in messages."""
        return f"the store '{self.signals}'"

    @property
    def called(self) -> str:
        """Where it lies."""
        return self.signals

    @property
    def stores(self) -> dict[str, str]:
        """Itself."""
        return {"signals": self.signals}

    def gives(self) -> frozenset[str]:
        """Distributions of the rows that were captured."""
        return frozenset({DISTRIBUTION})
