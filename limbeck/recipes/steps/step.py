"""What every kind of step has; the kinds are the other modules of this folder."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from limbeck.core.config import Config
from limbeck.core.errors import Problem
from limbeck.core.model_words import place_of
from limbeck.recipes.references import HELDOUT, Reference, What, references

if TYPE_CHECKING:
    from limbeck.recipes.teachers import Teacher

Makes = Literal["rows", "model", "store", "evaluation", "comparison"]
"""What other steps find under the `out` of one."""

READ_BY = ("loss_on", "max_length", "max_target_length")
"""Fields of train, capture and evaluate steps that say how rows are read."""


class Step(Config):
    """One step of a recipe: what it reads and makes, as frozen data."""

    kind: ClassVar[str]
    makes: ClassVar[Makes]
    parts: ClassVar[tuple[str, ...]] = ()
    """Of the rows that it makes: each is read as `<out>.<part>`."""

    apart: ClassVar[tuple[str, ...]] = ()
    """Rows that it keeps beside those of its `out`: each is read as `<out>.<name>`."""

    settings: ClassVar[tuple[str, ...]] = ()
    """Fields that a word alone sets, in every step of the kind: `max_length=512`."""

    without_effect: ClassVar[frozenset[str]] = frozenset()
    """Fields that change no result: a finished step stays finished when they change."""

    out: str

    @property
    def words(self) -> tuple[str, ...]:
        """What later steps call what it makes."""
        parts = tuple(f"{self.out}.{part}" for part in self.parts) or (self.out,)
        return (*parts, *(f"{self.out}.{name}" for name in self.apart))

    @property
    def made_of(self) -> Sequence[str]:
        """The rows that those it makes come from: what is made of held-out rows is held out."""
        return list(self.named("rows").values()) if self.taken_from is None else [self.taken_from]

    @property
    def taken_from(self) -> str | None:
        """Rows among which all that it makes stand unchanged; None where it makes others, or no rows."""
        return None

    @property
    def origin(self) -> str | None:
        """The model that the one it makes is made from; None where it makes none, or from nothing."""
        return None

    @property
    def description(self) -> str:
        """What it makes, in words, where an evaluation shows it."""
        return f"made by the step `{self.kind}`"

    def reads(self) -> list[Reference]:
        """All that it names; the first model says what kind its models are read as."""
        return list(references(self))

    def named(self, what: What) -> dict[str, str]:
        """What it names of one sort: path inside the step -> word."""
        return {one.path: one.word for one in self.reads() if one.names.what == what}

    def problems(self, earlier: Sequence["Step"]) -> Iterator[Problem]:
        """What is wrong beside its references, at paths inside the step."""
        yield from ()

    def told_apart(self, captured: Mapping[str, "Teacher"]) -> Self:
        """Itself, where words for stores that earlier steps capture say what it means by them.

        Args:
            captured: out of an earlier step that makes a store -> the teacher that it asks.
        """
        return self

    def sentence(self) -> str:
        """What it did, for the report: one sentence without its full stop."""
        return f"{self.kind.capitalize()}: `{self.out}`"

    def emptied_by(self, part: str) -> str | None:
        """The field that leaves a part of its rows empty; None if there are some."""
        return None

    @classmethod
    def that_made(cls, word: str, steps: Sequence["Step"]) -> Self | None:
        """The step of this kind that makes what a word names; None where another or none does."""
        place = maker(word, steps, cls.makes)
        made = None if place is None else steps[place]
        return made if isinstance(made, cls) else None


def maker(word: str, steps: Sequence[Step], what: What | Makes = "model") -> int | None:
    """The place of the step that makes what a word names; None where it is a folder or an id."""
    name = place_of(word)
    places = [place for place, step in enumerate(steps) if step.makes == what and name in step.words]
    return places[-1] if places else None


def words_behind(word: str, steps: Sequence[Step]) -> list[str]:
    """Words of all rows that the rows of a word are among, its own and those of their steps: origins last."""
    found: list[str] = []
    while (made := maker(word, steps, "rows")) is not None:
        found += steps[made].words
        origin = steps[made].taken_from
        if origin is None:
            break
        word, steps = origin, steps[:made]
    return found


def is_held_out(word: str, steps: Sequence[Step]) -> bool:
    """Whether rows were held out, or made of such."""
    if word.partition(".")[2] == HELDOUT:
        return True
    made = maker(word, steps, "rows")
    return made is not None and any(is_held_out(one, steps[:made]) for one in steps[made].made_of)


def path_of(place: int, step: Step) -> str:
    """Where a step is, as messages say it."""
    return f"steps.{place}.{step.kind}"
