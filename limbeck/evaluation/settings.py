"""What is compared, and how thoroughly."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import nn

from limbeck.core.batch import Batch, Source
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import KindName
from limbeck.core.outputs import Outputs

Role = Literal["teacher", "member", "student", "baseline"]
Task = Literal["python_syntax", "exact_match", "final_answer"]


@dataclass(frozen=True)
class EvaluatedModel:
    """One model of the comparison.

    Attributes:
        name: its name in tables; different for every subject.
        role: the teacher (at most one), a member of it if it is an ensemble, a student, or a baseline a
            student is held against.
        model: a transformers model.
        tokenizer: turns ids into text; ids mean the same to all subjects that read the same source.
        reader: reads the model's distribution over the shared vocabulary.
        description: one plain sentence on where the model comes from.
        folder: where its weights lie, if they lie on disk.
        source: the rows in its own tokens; None: in those of the evaluation.
        answer: its distribution for a batch, where that is more than `reader` reads: of an ensemble, or of a
            model that reads the rows in its own chat format.
        is_mean: its `model` holds the members of an ensemble: it neither writes nor is timed.
        prompts: the rows in its own chat format, in the same token ids; None: in the evaluation's.
    """

    name: str
    role: Role
    model: nn.Module
    tokenizer: Any
    reader: ForwardModel
    description: str
    folder: Path | None = None
    source: Source | None = None
    answer: Callable[[Batch], Outputs] | None = None
    is_mean: bool = False
    prompts: Source | None = None


@dataclass(frozen=True)
class EvaluationSettings:
    """How to compare.

    Attributes:
        kind: what the models are.
        metrics: names from `limbeck list metrics`.
        batch_size: entries of the source that are read at once.
        max_positions: stop reading when this many positions (or examples) are scored, on entries in
            random order; None: all are read.
        prompts: held-out prompts that are completed.
        prompt_tokens: of rows that are learnt whole (plain text), the first so many tokens are the
            prompt, at most half of the row.
        max_new_tokens: length of completions, at most.
        n_samples: completions shown side by side.
        resamples: bootstrap resamples of an interval.
        seed: of the choice of rows, pairs and resamples.
        task: how completions are judged; None: they are not.
        label_names: names of the classes, in the order of their ids.
    """

    kind: KindName
    metrics: tuple[str, ...]
    batch_size: int = 8
    max_positions: int | None = None
    prompts: int = 32
    prompt_tokens: int = 64
    max_new_tokens: int = 64
    n_samples: int = 10
    resamples: int = 1000
    seed: int = 0
    task: Task | None = None
    label_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse counts below 1, all at once."""
        names = ("batch_size", "max_positions", "prompts", "prompt_tokens", "max_new_tokens", "resamples")
        values = {name: getattr(self, name) for name in names}
        problems = [
            Problem(name, f"must be at least 1, got {value}.")
            for name, value in values.items()
            if value is not None and value < 1
        ]
        if problems:
            raise ConfigError(problems)
