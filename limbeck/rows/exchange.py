"""Rows with one prompt and one answer, as text: the prompt a model reads and the target it writes."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from limbeck.core.errors import Problem
from limbeck.core.prompting.own import choices_below
from limbeck.rows.kinds import Kind
from limbeck.rows.rendering import Rendering, example_suffix


class Exchange(NamedTuple):
    """One prompt and its target; `group` counts the tasks of `Rendering.group_names`, 0 without tasks."""

    row_id: str
    prompt: str
    target: str
    group: int = 0


def exchanges(row: Mapping[str, Any], kind: Kind, rendering: Rendering, end_token: str) -> list[Exchange]:
    """The examples of a row: one, or two.

    With `two_task` the label `x` and the rationale `x#rationale`, with `preference` the chosen answer `x`
    and the rejected one `x#rejected`.

    `end_token` stands between the texts of a pair, as in the official code of distilling step-by-step.
    """
    prompt, answer = prompt_of(row, kind, end_token), answer_of(row, kind)
    if len(rendering.group_names) < 2:
        return [Exchange(row["id"], rendering.task_prefix + prompt, answer)]
    second = row["id"] + example_suffix(rendering.group_names[1])
    if rendering.task == "preference":
        return [Exchange(row["id"], prompt, answer), Exchange(second, prompt, row["rejected"], group=1)]
    return [
        Exchange(row["id"], rendering.predict_prefix + prompt, answer),
        Exchange(second, rendering.explain_prefix + prompt, row["rationale"], group=1),
    ]


def prompt_of(row: Mapping[str, Any], kind: Kind, end_token: str) -> str:
    """The text a model reads before it answers, without a task's prefix."""
    if kind is Kind.QUESTION:
        return str(row["question"]) + choices_below(row.get("choices"))
    if kind is Kind.LABELLED_PAIR:
        return f"{row['text_a']}{end_token}{row['text_b']}"
    return str(row["text" if kind is Kind.LABELLED_TEXT else "prompt"])


def answer_of(row: Mapping[str, Any], kind: Kind) -> str:
    """The text a model must write, empty in rows that have only a prompt."""
    return str(row[_ANSWERS[kind]]) if kind in _ANSWERS else ""


def without_rationale(rows: Sequence[Mapping[str, Any]]) -> list[Problem]:
    """One problem for each row that cannot be explained."""
    return [
        Problem(f"row {row['id']}", "rationale must be text that is not empty for two_task, got none.")
        for row in rows
        if not (row.get("rationale") or "").strip()
    ]


def has_exchange(kind: Kind) -> bool:
    """Whether rows of this kind have one prompt and one answer."""
    return kind in _ANSWERS


_ANSWERS: Mapping[Kind, str] = {
    Kind.COMPLETION: "completion",
    Kind.QUESTION: "answer",
    Kind.LABELLED_TEXT: "label",
    Kind.LABELLED_PAIR: "label",
    Kind.PREFERENCE: "chosen",
}
