"""What a step is handed: where things lie, whom to tell, and models and rows by their words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, load_from_disk

from limbeck.core.class_names import agreed_classes, own_class_names
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.model_words import model_word
from limbeck.core.models import kind_of, load_model, load_tokenizer, read_config
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Capture, Evaluate, Step, Train
from limbeck.recipes.steps.step import maker, words_behind
from limbeck.runs import ranks
from limbeck.runs.assembly.heads import labels_of, read_heads
from limbeck.runs.assembly.models import located
from limbeck.runs.assembly.sources import Renderer
from limbeck.runs.record.folder import RunFolder
from limbeck.runs.record.progress import Progress, StepPosition

MODEL, SIGNALS, EVALUATION, BY_ROW = "model", "signals", "evaluation.json", "rows.json"


@dataclass(frozen=True)
class StepResult:
    """What a step says when it is done."""

    tokens: int = 0
    notes: tuple[str, ...] = ()
    seconds: float | None = None
    example: Mapping[str, Any] | None = None
    """A row as the student reads it: row_id, tokens, in_loss, parts [text, whether in the loss]; and
    all_tokens and all_in_loss of all rows."""


@dataclass
class StepContext:
    """One step at work.

    Attributes:
        recipe: all steps.
        place: of this one.
        run: the run folder.
        folder: of this step.
        progress: whom to tell.
        stage: where the run is.
        seen_rows: rows that were read while planning, by reference.
        renderer: with what was rendered while planning and in earlier steps.
    """

    recipe: Recipe
    place: int
    run: RunFolder
    folder: Path
    progress: Progress
    stage: StepPosition
    seen_rows: Mapping[str, Dataset] = field(default_factory=dict)
    renderer: Renderer = field(default_factory=Renderer)

    @property
    def earlier(self) -> Sequence[Step]:
        """The steps before this one."""
        return self.recipe.steps[: self.place]

    @property
    def device(self) -> torch.device:
        """Of this process."""
        return ranks.device()

    def model_place(self, word: str) -> str:
        """Where a model is, and how it is read: an earlier step's artefact, or what is on disk or the hub."""
        made = maker(word, self.earlier)
        if made is None:
            return located(word)
        folder = str(self.run.step(made, self.recipe.steps[made]) / MODEL)
        trusted = model_word(word).trust_remote_code or model_word(self.origin(word)).trust_remote_code
        return replace(model_word(word), place=folder, trust_remote_code=trusted).joined

    def origin(self, word: str) -> str:
        """The model on disk or the hub that a model was made from, through all steps between."""
        made = maker(word, self.earlier)
        while made is not None and (origin := self.recipe.steps[made].origin) is not None:
            word, made = origin, maker(origin, self.recipe.steps[:made])
        return word

    def store_place(self, word: str, steps: Sequence[Step] | None = None) -> Path:
        """Folder of a store: of a capture step among `steps` (the earlier ones), or as the word says."""
        steps = self.earlier if steps is None else steps
        capture = Capture.that_made(word, steps)
        if capture is not None and capture.folder is None:
            return self.run.step(steps.index(capture), capture) / SIGNALS
        return Path(word if capture is None else str(capture.folder)).expanduser()

    def kind(self, wanted: str, word: str) -> KindName:
        """What a model is used as."""
        if wanted != "auto":
            return wanted
        return kind_of(read_config(self.model_place(word)))

    def load_model(
        self, word: str, kind: KindName, label_names: Sequence[str] = (), *, pad: int | None = None
    ) -> Any:
        """A model that is not trained, on this process's device, in its word's dtype or as saved.

        Args:
            word: a folder, an id, or the out of an earlier step.
            kind: what it is used as.
            label_names: classes of a classifier.
            pad: the id that fills its rows up; a classifier is told it.
        """
        names = label_names if kind_named(kind).has_classes else None
        place = self.model_place(word)
        return load_model(place, kind, dtype="auto", label_names=names or None, pad=pad).to(self.device)

    def load_tokenizer(self, word: str) -> Any:
        """The tokenizer that lies with a model."""
        return load_tokenizer(self.model_place(word))

    def rows(self, reference: str) -> Dataset:
        """Rows by reference."""
        made = maker(reference, self.earlier, "rows")
        assert made is not None, "checked with the recipe"
        step, part = self.recipe.steps[made], reference.partition(".")[2]
        return load_from_disk(str(self.run.step(made, step) / (part or "rows")))

    def classes(self, step: Train | Evaluate) -> tuple[str, ...]:
        """Classes of a step in the order of their scores: by its models' heads and all parts of its rows."""
        return self.classes_of(step.rows, read_heads(step))

    def classes_of(self, rows: str, models: Sequence[str]) -> tuple[str, ...]:
        """Classes by the heads of models, and by all rows that some rows were taken from."""
        names = words_behind(rows, self.earlier)
        configs = {word: read_config(self.model_place(word)) for word in models}
        heads = {word: own_class_names(config) for word, config in configs.items()}
        return agreed_classes(labels_of([self.rows(name) for name in names]), heads)

    def advance(self, share: float, what: str = "") -> None:
        """Tell how much of the step is done."""
        self.progress.advanced(self.stage, share, what)
