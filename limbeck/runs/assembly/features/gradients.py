"""What a model would learn from rows and from those of a target, at the epochs of a short training (LESS)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor

from limbeck.core.adam_directions import adam_direction, rademacher
from limbeck.core.decoder_start import decoder_start
from limbeck.core.examples import by_row
from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import kind_named
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.seeds import derived_seed, generator, seed_everything
from limbeck.core.target_log_probs import answer_losses
from limbeck.recipes.steps.select import Warmup
from limbeck.rows.render import render
from limbeck.rows.source import PaddedSource
from limbeck.runs.assembly.features.columns import words_in
from limbeck.runs.assembly.features.given import Given
from limbeck.runs.assembly.features.losses import scoring
from limbeck.selectors.less import Gradients
from limbeck.students import add_lora

_NUMBERS = 2**26  # of the gradients that are projected at once: 256 MB
_WARM = 0.03  # share of the updates in which the rate rises, as in the official script
ALL = "all"
"""The task of a target without a column of tasks."""


def gradients_of(given: Given) -> Gradients:
    """Directions of all rows and gradients of the target's, projected and of length 1, at each checkpoint.

    The model first learns from a share of the rows. Per-row gradients are of the mean loss over the row's
    targets, dropout off; a row's is what Adam would make of it, a target's is plain.
    """
    step, work = given.step, given.work
    assert step.target is not None and step.model is not None, "checked with the recipe"
    target, settings = work.rows(step.target), step.warmup or Warmup()
    tasks = [ALL] * len(target) if step.tasks is None else words_in(target, step.tasks, "tasks")
    size = (settings.epochs, len(given.rows) + len(target), settings.dimension)
    flat = given.kept("gradients", lambda: _taken(given, target, settings))
    rates, found = flat[: settings.epochs], flat[settings.epochs :].reshape(size)
    cut = len(given.rows)
    return Gradients(found[:, :cut], found[:, cut:], tasks, [float(rate) for rate in rates])


def _taken(given: Given, target: Dataset, settings: Warmup) -> np.ndarray:
    """Rates of the epochs, then [epochs, rows and target rows, dimension], in one flat float32 array."""
    learner = Learner.of(given, settings)
    candidates, wanted = learner.source(given.rows), learner.source(target)
    rates, found = [], []
    for epoch, rate in enumerate(learner.warm_up(candidates)):
        rates.append(rate)
        for source, by_adam in ((candidates, True), (wanted, False)):
            found.append(learner.projected(source, by_adam=by_adam))
            given.work.advance((epoch + 0.5 * (1 + (not by_adam))) / settings.epochs, "taking gradients")
    return np.concatenate([np.asarray(rates), *(one.flatten() for one in found)]).astype(np.float32)


@dataclass
class Learner:
    """A model in its warm-up.

    Attributes:
        model: with trainable parameters, dropout off.
        given: the step at work.
        settings: of the warm-up.
        tokenizer: of the model.
        rendering: how rows are read.
        steps: updates so far.
    """

    model: Any
    given: Given
    settings: Warmup
    tokenizer: Any
    rendering: Any
    steps: int = 0
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.reader = ForwardModel(self.model).probe()
        self.weights = [one for one in self.model.parameters() if one.requires_grad]
        # The official script's optimizer: AdamW as transformers has it, without weight decay.
        self.optimizer = torch.optim.AdamW(self.weights, lr=self.settings.learning_rate, weight_decay=0.0)

    @classmethod
    def of(cls, given: Given, settings: Warmup) -> "Learner":
        """The step's model, with adapters if these are asked for."""
        step, work = given.step, given.work
        assert step.model is not None, "checked with the recipe"
        kind = work.kind("auto", step.model)
        classes = work.classes_of(step.rows, [step.model]) if kind_named(kind).has_classes else ()
        seed_everything(settings.seed, "warm-up")
        model = work.load_model(step.model, kind, classes).float()
        if settings.lora_r:
            model = add_lora(
                model,
                r=settings.lora_r,
                alpha=settings.lora_alpha,
                dropout=0.0,
                target_modules=settings.lora_target_modules or "all-linear",
            )
        return cls(
            model.eval(), given, settings, work.load_tokenizer(step.model), scoring(step, kind, classes)
        )

    def source(self, rows: Dataset) -> "Examples":
        """Rows by their place, as the model reads them."""
        rendered = render(rows, self.tokenizer, self.rendering)
        start = decoder_start(self.reader.plain.config, self.tokenizer)
        padded = PaddedSource(rendered, self.rendering, int(self.tokenizer.pad_token_id), start)
        return Examples(padded, by_row(padded.rows.row_ids, rows["id"]))

    def warm_up(self, rows: "Examples") -> Iterator[float]:
        """Learn from a share of the rows; after each epoch, the mean learning rate in it."""
        draws = generator(self.settings.seed, "warm-up rows")
        count = max(1, round(self.settings.share * len(rows)))
        chosen = draws.permutation(len(rows))[:count]
        size = self.settings.batch_size
        total = self.settings.epochs * -(-count // size)
        for _ in range(self.settings.epochs):
            rates = []
            order = draws.permutation(chosen).tolist()
            for start in range(0, count, size):
                rates.append(self.settings.learning_rate * _rate_at(self.steps, total))
                self._update(rows, order[start : start + size], rates[-1])
            yield float(np.mean(rates))

    def _update(self, rows: "Examples", places: Sequence[int], rate: float) -> None:
        self.optimizer.zero_grad()
        for place in places:
            (self.loss(rows, place) / len(places)).backward()
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.steps += 1

    def loss(self, rows: "Examples", place: int) -> Tensor:
        """Mean cross-entropy of the targets of a row."""
        batch = rows.source.batch(rows.members[place]).to(self.given.work.device)
        return torch.cat(answer_losses(self.reader.read(batch.inputs, DISTRIBUTION), batch)).mean()

    def projected(self, rows: "Examples", *, by_adam: bool) -> np.ndarray:
        """[rows, dimension] unit vectors."""
        found, height = [], max(1, _NUMBERS // sum(one.numel() for one in self.weights))
        for start in range(0, len(rows), height):
            places = range(start, min(start + height, len(rows)))
            whole = torch.stack([self._direction(rows, place, by_adam=by_adam) for place in places])
            seed = derived_seed(self.settings.seed, "projection")
            small = rademacher(whole, self.settings.dimension, seed=seed)
            found.append(torch.nn.functional.normalize(small, dim=1))
        return torch.cat(found).numpy()

    def _direction(self, rows: "Examples", place: int, *, by_adam: bool) -> Tensor:
        gradients = torch.autograd.grad(self.loss(rows, place), self.weights, materialize_grads=True)
        flat = torch.cat([one.flatten() for one in gradients])
        if not by_adam:
            return flat.cpu()
        first, second = (self._moment(name) for name in ("exp_avg", "exp_avg_sq"))
        direction = adam_direction(flat, first, second, form=self.settings.direction, steps=self.steps)
        return direction.cpu()

    def _moment(self, name: str) -> Tensor:
        state: Mapping[Any, Any] = self.optimizer.state
        return torch.cat([state[one].get(name, torch.zeros_like(one)).flatten() for one in self.weights])


@dataclass(frozen=True)
class Examples:
    """Rows by their place: the entries of a source that were made of each."""

    source: PaddedSource
    members: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.members)


def _rate_at(step: int, total: int) -> float:
    """Share of the peak: up over the first 3 %, then linearly to 0 behind the last update."""
    warm = max(1, round(_WARM * total)) if total > 1 else 0
    return (step + 1) / (warm + 1) if step < warm else (total - step) / max(1, total - warm)
