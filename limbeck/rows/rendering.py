"""How rows become token ids: the choices a user makes, and what they are called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from limbeck.core.errors import ConfigError, Problem
from limbeck.core.kinds import KindName, kind_named, kinds_that

Task = Literal["default", "two_task", "label", "preference"]
LossOn = Literal["last_assistant", "all_assistant", "all"]

GROUPS: Mapping[Task, tuple[str, ...]] = {
    "default": (),
    "two_task": ("label", "rationale"),
    "label": ("label",),
    "preference": ("chosen", "rejected"),
}
"""Task -> the names of the examples it makes of a row; the first is what the student is for."""

INPUTS_CUT = "inputs cut at max_length"
"""A note of `rows.render.notes_of`, said of whole inputs of encoders."""

_LEAST_LENGTH = 2  # one token to read and one to predict


@dataclass(frozen=True)
class Rendering:
    """The choices in turning rows into token ids.

    Attributes:
        model_kind: what the model is used as.
        max_length: most tokens the model (the encoder of a seq2seq model) reads of one row.
        max_target_length: most tokens of a seq2seq target, its end included; 256 in the official
            code of distilling step-by-step.
        task: `two_task` makes two examples of every row, one that predicts the answer and one that
            explains it (Hsieh et al. 2023, arXiv:2305.02301), `label` the first of them alone;
            `preference` makes two of every row with `chosen` and `rejected`, one for each answer.
        loss_on: which tokens of a causal row are learnt: of the last assistant turn, of all assistant
            turns, or all; a prompt with one answer counts as one user and one assistant turn.
        label_names: a classifier's classes in the order of their ids; see `rows.classes.label_names`.
        separator: goes between prompt and answer of a causal row, where neither brings white space.
        predict_prefix: opens the prompt of the label task (official code).
        explain_prefix: opens the prompt of the rationale task (official code).
    """

    model_kind: KindName
    max_length: int
    max_target_length: int = 256
    task: Task = "default"
    loss_on: LossOn = "all_assistant"
    label_names: tuple[str, ...] = ()
    separator: str = "\n"
    predict_prefix: str = "predict: "
    explain_prefix: str = "explain: "

    def __post_init__(self) -> None:
        problems = []
        if self.max_length < _LEAST_LENGTH:
            message = f"must be at least {_LEAST_LENGTH}, got {self.max_length}."
            problems.append(Problem("max_length", message))
        if self.max_target_length < 1:
            message = f"must be at least 1, got {self.max_target_length}."
            problems.append(Problem("max_target_length", message))
        kind = kind_named(self.model_kind)
        if self.task != "default" and not kind.writes:
            message = f"{self.task} must go with {kinds_that('writes')} models, got {self.model_kind}."
            problems.append(Problem("task", message))
        if kind.has_classes and not self.label_names:
            problems.append(Problem("label_names", "must name the classes of a classifier, got none."))
        if problems:
            raise ConfigError(problems)

    @property
    def group_names(self) -> tuple[str, ...]:
        """The tasks that terms choose with `on`; the column `group` counts them from 0."""
        return GROUPS[self.task]

    @property
    def task_prefix(self) -> str:
        """What opens the prompt of the task that the student is for."""
        return self.predict_prefix if "label" in self.group_names else ""

    @property
    def answers(self) -> tuple[str, ...]:
        """The columns of a row of preferences that become examples."""
        return GROUPS["preference"] if self.task == "preference" else GROUPS["preference"][:1]

    def row_of(self, example_id: str, group: int) -> str:
        """The id of the row that an example was made from."""
        return example_id.removesuffix(example_suffix(self.group_names[group])) if group else example_id


def example_suffix(group_name: str) -> str:
    """What the id of a row's second example ends with."""
    return f"#{group_name}"
