"""The base of the forms of teacher: each is a class of its own, told apart by the key that names it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from limbeck.core.errors import Problem
from limbeck.recipes.forms import Formed

View = Literal["own", "student"]
VIEW = "whose chat format it reads the rows in: that of its own tokenizer, or the student's"


class Teacher(Formed):
    """Who answers."""

    what: ClassVar[str] = "a model's folder or id"
    forms: ClassVar[dict[str, Any]] = {}

    without_effect: ClassVar[frozenset[str]] = frozenset()
    """Fields that change no answer: how fast it is asked, what may be spent, where answers are kept."""

    view: View = Field(default="own", description=VIEW)

    @property
    def said(self) -> str:
        """What it is, in messages."""
        raise NotImplementedError

    @property
    def called(self) -> str:
        """Its name, in reports and in the columns of routes."""
        raise NotImplementedError

    @property
    def word(self) -> str:
        """The one thing that it names, a model or a store; empty where it names several."""
        return next(iter({**self.models, **self.stores}.values()), "")

    def gives(self) -> frozenset[str]:
        """What can be asked of it: keys of `CAPABILITIES`."""
        raise NotImplementedError

    @property
    def members(self) -> dict[str, "Teacher"]:
        """Who answers, by the path inside it: itself, under the empty path, unless it is several."""
        return {"": self}

    @property
    def models(self) -> dict[str, str]:
        """The models it names: path inside it -> folder, id or out of an earlier step."""
        return {}

    @property
    def stores(self) -> dict[str, str]:
        """The stores it names: path inside it -> folder, or out of a capture."""
        return {}

    def with_others(self, others: Mapping[str, "Teacher"]) -> "Teacher":
        """Itself with other teachers in the place of the models and stores that it names by these words."""
        words = {*self.models.values(), *self.stores.values()}
        found = next((others[word] for word in words if word in others), self)
        return found.model_copy(update={"view": self.view}) if found is not self else self

    def training_only(self) -> Iterator[Problem]:
        """What of it has a meaning in train steps alone, at paths inside the step."""
        yield from ()

    def group_problems(self, groups: Sequence[str]) -> Iterator[Problem]:
        """What of it is for groups of units that the rows do not have, at paths inside the step."""
        yield from ()

    def silent_on(self, groups: Sequence[str]) -> list[str]:
        """The groups of units that it does not answer."""
        return []
