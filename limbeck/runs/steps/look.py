"""A look at one step: what was seen before it, and where to put what is found."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset

from limbeck.core.class_names import agreed_classes
from limbeck.core.kinds import KindName
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Evaluate, Step, Train
from limbeck.recipes.steps.step import path_of, words_behind
from limbeck.rows.preview import Preview
from limbeck.rows.rendering import Rendering
from limbeck.runs.assembly.heads import assumed_order, labels_of, read_heads
from limbeck.runs.assembly.models import ModelInfo
from limbeck.runs.assembly.sources import Renderer
from limbeck.runs.assembly.views import Reading
from limbeck.runs.checking.model_infos import ModelInfos
from limbeck.runs.checking.problems import Problems
from limbeck.runs.checking.reading_notes import said_of_rows


@dataclass
class Survey:
    """What was seen.

    Attributes:
        recipe: that was looked at.
        rows: by reference (`rows.train`); not those a teacher has yet to write.
        models: shape by word or out.
        entries: of a train or evaluate step, by its place: (number of entries, their tokens).
        vocabularies: of a step, by its place: sentence on its vocabulary.
        positions: of a capture, by its place: how many it keeps.
        ends: of a step that lets models write, by its place: sentence on the tokens that end an answer.
        notes: of a step, by its place: sentences on what it will do.
        samples: of a step, by its place: the first rows as its model reads them.
        problems: all that is wrong.
        run: the run folder, where it is known.
        renderer: keeps what was rendered, for the steps.
    """

    recipe: Recipe
    rows: dict[str, Dataset] = field(default_factory=dict)
    models: dict[str, ModelInfo] = field(default_factory=dict)
    entries: dict[int, tuple[int, int]] = field(default_factory=dict)
    vocabularies: dict[int, str] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)
    notes: dict[int, list[str]] = field(default_factory=dict)
    samples: dict[int, list[Preview]] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)
    run: Path | None = None
    renderer: Renderer = field(default_factory=Renderer)


@dataclass(frozen=True)
class Look:
    """One step of a recipe, with all that was seen before it.

    Attributes:
        place: of the step.
        step: itself.
        seen: takes what is found.
        known: models by their configuration.
    """

    place: int
    step: Step
    seen: Survey
    known: ModelInfos

    @property
    def where(self) -> str:
        """The step's path, as messages say it."""
        return path_of(self.place, self.step)

    @property
    def earlier(self) -> tuple[Step, ...]:
        """The steps before this one."""
        return self.seen.recipe.steps[: self.place]

    @property
    def rows(self) -> dict[str, Dataset]:
        """Rows by reference, as far as they are there already."""
        return self.seen.rows

    def at(self, path: str = "") -> AbstractContextManager[None]:
        """Inside, what is wrong is noted at a path inside the step."""
        return self.seen.problems.at(f"{self.where}.{path}".rstrip("."))

    def note(self, *sentences: str) -> None:
        """Say what the step will do."""
        self.seen.notes.setdefault(self.place, []).extend(sentences)

    def info(self, word: str, path: str) -> ModelInfo | None:
        """The shape of a model that the step names at a path; None where it is wrong, which is noted."""
        return self.known.info(word, f"{self.where}.{path}")

    def check_vocabulary(self, student: ModelInfo, teacher: ModelInfo) -> None:
        """Refuse models with other token ids; say what they share."""
        note = self.known.shared(student, teacher)
        if note is not None:
            self.seen.vocabularies[self.place] = note

    def render(self, rows: str, shape: ModelInfo, rendering: Rendering) -> Dataset:
        """Rows as a model reads them."""
        return self.seen.renderer.render(rows, self.rows[rows], self.known.tokenizer(shape), rendering)

    def reading(self, rows: str, shape: ModelInfo, rendering: Rendering) -> Reading:
        """The same, for teachers that may read them in another format."""
        return Reading(rows, self.rows[rows], self.known.tokenizer(shape), rendering, self.seen.renderer)

    def note_form(self, rows: str, kind: KindName, shape: ModelInfo, rendered: Dataset) -> None:
        """Say in which form rows are read, and keep the first ones to be shown."""
        self.note_form_with(rows, kind, self.known.tokenizer(shape), rendered)

    def note_form_with(self, rows: str, kind: KindName, tokenizer: Any, rendered: Dataset) -> None:
        """The same, of rows that are read with this tokenizer."""
        notes, self.seen.samples[self.place] = said_of_rows(self.rows[rows], rendered, tokenizer, kind)
        self.note(*notes)

    def classes(self, step: Train | Evaluate) -> tuple[str, ...]:
        """Classes of a step in the order of their scores; says where an order is assumed."""
        return self.classes_of(step.rows, read_heads(step))

    def classes_of(self, rows: str, words: Sequence[str]) -> tuple[str, ...]:
        """Classes by the heads of models, and by all rows that some rows are taken from."""
        parts = [self.rows[name] for name in words_behind(rows, self.earlier) if name in self.rows]
        labels, models = labels_of(parts), self.seen.models
        heads = {word: models[word].classes for word in words if word in models}
        names = agreed_classes(labels, heads)
        self.note(*assumed_order(labels, heads))
        return names
