"""What goes on beside a training: rollouts, a corpus, what is watched, rows drawn by domain."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from datasets import Dataset

from limbeck.core.batch import Batch, Source
from limbeck.core.decoder_start import decoder_start
from limbeck.core.examples import data_row
from limbeck.core.outputs import Needs
from limbeck.core.reader import Reader
from limbeck.core.term import Term
from limbeck.engine.loop import Prepare
from limbeck.inference.request import TokenIds
from limbeck.recipes.steps import Train
from limbeck.recipes.terms import UNCERTAINTIES
from limbeck.rollouts import Rollouts
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from limbeck.runs.domains import DomainRows
from limbeck.runs.rollouts import PROMPT_TOKENS, make_rollouts, read_at_rest
from limbeck.runs.selection import Selector
from limbeck.runs.sources import entries_of
from limbeck.runs.spans import SpanMarker
from limbeck.runs.steps.work import Work
from limbeck.runs.watch import Watcher
from limbeck.teachers import LocalTeacher, OwnViewTeacher

_DISTRIBUTION = Needs(distribution=True)


@dataclass(frozen=True)
class Beside:
    """A train step with its models, as far as what goes on beside it needs them."""

    step: Train
    work: Work
    student: Any
    reader: Reader
    teacher: LocalTeacher | OwnViewTeacher | None
    tokenizer: Any
    rendering: Rendering

    def rollouts(self, source: Source) -> Rollouts | None:
        """The step's rollouts, or None."""
        corpus = None
        if self.step.corpus is not None:
            rows = self._rendered(self.step.corpus, replace(self.rendering, loss_on="all"))
            corpus = PaddedSource(rows, self.rendering, self._pad)
        return make_rollouts(
            self.step,
            student=self.student,
            reader=self.reader,
            teacher=self.teacher,
            tokenizer=self.tokenizer,
            source=source,
            corpus=corpus,
            folder=self.work.folder,
        )

    def prepare(
        self,
        rollouts: Rollouts | None,
        selector: Selector | None,
        mark_answered: Callable[[Batch], Batch] | None,
    ) -> Prepare | None:
        """What makes a step's batches: rollouts, then phrases, the student's uncertainty, who is answered."""
        if mark_answered is not None:  # goes with none of the others
            return lambda window, step, total_steps: [mark_answered(batch) for batch in window]
        phrases = any("spans" in term.signals for term in self.step.objective)
        mark = SpanMarker(self.tokenizer) if phrases else None
        if mark is None and selector is None:
            return rollouts

        def prepared(window: Sequence[Batch], step: int, total_steps: int) -> list[Batch]:
            made = list(window) if rollouts is None else rollouts(window, step, total_steps)
            made = made if mark is None else mark(made)
            return made if selector is None else selector.mark(made, step)

        return prepared

    def selector(self) -> Selector | None:
        """Who is asked by the student's uncertainty, or None."""
        weighted = any(term.weighted_by in UNCERTAINTIES for term in self.step.objective)
        settings, teacher = self.step.selection, self.teacher
        if settings is None and not weighted:
            return None
        other = None if settings is None or settings.other is None else self._model(settings.other.word)
        return Selector(
            settings=settings,
            ask_student=lambda batch: read_at_rest(self.student, self.reader, batch),
            teacher=None if teacher is None else teacher.answer,
            other=None if other is None else other.answer,
            seed=self.step.seed,
        )

    def watcher(self, terms: Sequence[Term]) -> Watcher | None:
        """What the step watches, or None."""
        settings, teacher = self.step.watch, self.teacher
        if settings is None:
            return None
        rows = self.work.rows(settings.rows)
        rendered = self._rendered(settings.rows, self.rendering)
        column = settings.perplexities_by
        rollouts = self.step.rollouts
        others = {name: self._model(word) for name, word in settings.distances.items()}
        return Watcher(
            settings=settings,
            source=PaddedSource(rendered, self.rendering, self._pad, self._start),
            row_domains=None if column is None else domains_of(rows, rendered, column),
            student=self.student,
            reader=self.reader,
            terms=terms,
            answer=None if teacher is None else partial(teacher.answer, needs=_DISTRIBUTION),
            others={name: partial(model.answer, needs=_DISTRIBUTION) for name, model in others.items()},
            ids=TokenIds.of(self.tokenizer, self.student),
            vocabulary=self.reader.vocabulary or len(self.tokenizer),
            prompt_tokens=rollouts.prompt_tokens if rollouts else PROMPT_TOKENS,
        )

    def order(self, domains: Sequence[str] | None, source: Source) -> DomainRows | None:
        """Rows drawn by domain, or None; `domains` are those of the rendered rows."""
        settings = self.step.domains
        if settings is None or domains is None:
            return None
        first = [examples[0] for examples in entries_of(source)]
        return DomainRows([domains[example] for example in first], settings, self.step.seed)

    def _model(self, word: str) -> LocalTeacher | OwnViewTeacher:
        if self.teacher is not None and self.step.teacher is not None and word == self.step.teacher.word:
            return self.teacher
        kind = self.rendering.model_kind
        model = self.work.load_model(word, kind, self.rendering.label_names, pad=self._pad)
        vocabulary = None if kind == "classifier" else self.reader.vocabulary or len(self.tokenizer)
        return LocalTeacher(model, vocabulary).to(self.work.device)

    def _rendered(self, reference: str, rendering: Rendering) -> Dataset:
        return self.work.renderer.render(reference, self.work.rows(reference), self.tokenizer, rendering)

    @property
    def _start(self) -> int | None:
        return decoder_start(self.reader.plain.config, self.tokenizer)

    @property
    def _pad(self) -> int:
        return int(self.tokenizer.pad_token_id)


def domains_of(rows: Dataset, rendered: Dataset, column: str) -> list[str]:
    """The domain of each rendered row, by the id of the row it was made of."""
    known = dict(zip(rows["id"], rows[column], strict=True))
    return [str(known[data_row(example, known)]) for example in rendered["row_id"]]
