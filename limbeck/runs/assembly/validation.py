"""What a training measures on the way: validation loss, distances to models, perplexities by domain."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from limbeck.core.batch import Batch, Source
from limbeck.core.catalogue import catalogue
from limbeck.core.decoder_start import decoder_start
from limbeck.core.forward_model import ForwardModel
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.outputs import Outputs
from limbeck.core.signals import BATCH_SIGNALS
from limbeck.core.term import Term
from limbeck.inference.request import TokenIds
from limbeck.inference.sample import sample
from limbeck.objectives.criterion import Criterion
from limbeck.recipes.validation import Validation
from limbeck.rollouts.rollout import collate_rollouts, uncollate
from limbeck.rows.source import PaddedSource
from limbeck.runs.assembly.rollouts import PROMPT_TOKENS
from limbeck.runs.assembly.transforms.domains import domains_of
from limbeck.runs.assembly.transforms.training import Training, read_at_rest

Answer = Callable[[Batch], Outputs]
_READ = 16  # rows of a batch
_FROM_DATA = (None, "data", "corpus")


@dataclass
class Validator:
    """Called after every step; measures every `settings.every` of them, and after the first.

    Attributes:
        settings: what is measured.
        source: padded rows to look at.
        row_domains: domain of each of them, or None.
        student: the model in training, and its reader.
        terms: of the training.
        answer: asks the teacher, or None.
        others: name of a distance -> asks that model.
        ids: end and padding tokens.
        prompt_tokens: prompt of plain text rows.
        teacher_nats: what the teacher's answers cost, by domain, once measured.
    """

    settings: Validation
    source: Source
    row_domains: Sequence[str] | None
    student: Any
    reader: ForwardModel
    terms: Sequence[Term]
    answer: Answer | None
    others: Mapping[str, Answer]
    ids: TokenIds
    vocabulary: int
    prompt_tokens: int
    teacher_nats: dict[str, float] = field(default_factory=dict, init=False)

    def __call__(self, step: int) -> dict[str, float]:
        """Metric -> value; nothing in the steps between."""
        if step % self.settings.every and step != 1:
            return {}
        batches = self._batches(range(len(self.source)))
        found: dict[str, float] = {}
        if self.settings.loss:
            found |= self._loss(batches, step)
        if self.others:
            found |= self._distances(batches, step)
        if self.row_domains is not None:
            found |= self._perplexities(self.row_domains)
        return found

    def _batches(self, entries: Sequence[int]) -> list[list[int]]:
        """At most `settings.limit` of the entries, evenly spaced: rows may lie in an order of their own."""
        count = min(self.settings.limit, len(entries))
        chosen = [entries[k * len(entries) // count] for k in range(count)]
        return [chosen[k : k + _READ] for k in range(0, count, _READ)]

    def _loss(self, batches: Sequence[list[int]], step: int) -> dict[str, float]:
        terms = [replace(term, on=None, weighted_by=None) for term in self.terms if _learns_from_data(term)]
        criterion = Criterion(terms or [_divergence("forward_kl")])
        read = [self._read(part) for part in batches]
        return {"validation_loss": self._mean(criterion, self.answer, read, step)}

    def _distances(self, batches: Sequence[list[int]], step: int) -> dict[str, float]:
        read = [self._read(part) for part in batches]
        if self.settings.written_by == "student":
            read = [self._answered(batch, step) for batch in read]
        criterion = Criterion([_divergence(self.settings.divergence)])
        return {name: self._mean(criterion, ask, read, step) for name, ask in self.others.items()}

    def _perplexities(self, domains: Sequence[str]) -> dict[str, float]:
        assert self.answer is not None
        entropy = Criterion([_divergence("cross_entropy")])
        found = {}
        for domain in sorted(set(domains)):
            parts = self._batches([entry for entry, name in enumerate(domains) if name == domain])
            read = [self._read(part) for part in parts]
            student = self._mean(entropy, None, read, 0)
            if domain not in self.teacher_nats:  # the teacher does not change
                self.teacher_nats[domain] = self._mean(entropy, None, read, 0, subject=self.answer)
            found[f"perplexity_{domain}"] = math.exp(student)
            found[f"gap_{domain}"] = math.exp(student - self.teacher_nats[domain])
        return found

    def _read(self, entries: list[int]) -> Batch:
        return self.source.batch(entries).to(next(self.student.parameters()).device)

    def _answered(self, batch: Batch, step: int) -> Batch:
        """The batch's prompts with fresh answers of the student."""
        rows = uncollate(batch)
        prompts = [row.prompt(self.prompt_tokens) for row in rows]
        drawn = sample(
            self.student,
            prompts,
            tokenizer_or_ids=self.ids,
            max_new_tokens=self.settings.max_new_tokens,
            seed=step,
            vocabulary=self.vocabulary,
        )
        answers = zip(rows, prompts, drawn, strict=True)
        written = [row.answered(prompt, one.ids, "student") for row, prompt, one in answers]
        return collate_rollouts(written, self.ids.pad, batch.device)

    @torch.no_grad()
    def _mean(
        self,
        criterion: Criterion,
        teacher: Answer | None,
        kept: Sequence[Batch],
        step: int,
        *,
        subject: Answer | None = None,
    ) -> float:
        """The criterion's mean over all units of the batches; curves stand at their end."""
        counts = torch.stack([criterion.counts(batch) for batch in kept]).sum(0)
        total = 0.0
        for batch in kept:
            said = subject(batch) if subject else read_at_rest(self.student, self.reader, batch)
            asked = teacher(batch) if teacher is not None and criterion.teacher_needs else None
            loss, _ = criterion(said, asked, batch, counts=counts, step=step, total_steps=max(step, 1))
            total += float(loss)
        return total


def make_validator(training: Training, terms: Sequence[Term]) -> Validator | None:
    """What measures while a step trains, or None."""
    step, settings, teacher = training.step, training.step.validation, training.live
    if settings is None:
        return None
    rendered = training.render(settings.rows, training.rendering)
    start = decoder_start(training.reader.plain.config, training.tokenizer)
    rows, column = training.work.rows(settings.rows), settings.perplexities_by
    others = {name: training.model(word) for name, word in settings.distances.items()}
    return Validator(
        settings=settings,
        source=PaddedSource(rendered, training.rendering, training.pad, start),
        row_domains=None if column is None else domains_of(rows, rendered, column),
        student=training.student,
        reader=training.reader,
        terms=terms,
        answer=None if teacher is None else partial(teacher.answer, needs=DISTRIBUTION),
        others={name: partial(model.answer, needs=DISTRIBUTION) for name, model in others.items()},
        ids=TokenIds.of(training.tokenizer, training.student),
        vocabulary=training.vocabulary,
        prompt_tokens=step.rollouts.prompt_tokens if step.rollouts else PROMPT_TOKENS,
    )


def _learns_from_data(term: Term) -> bool:
    return term.on in _FROM_DATA and not set(term.signals) & set(BATCH_SIGNALS) and term.pointwise


def _divergence(name: str) -> Term:
    entry = catalogue("objectives")[name]
    return Term(name, entry.load(), entry.positional)
