"""Answers as a whole, and answers behind a cue with their reasons before it."""

import re
from typing import Any, Literal

from limbeck.core.prompting.parsers.failed import ParseFailed

_CHOICE = re.compile(r"\(.\)")
_EQUATION = re.compile(r"\(.*\)")


def whole(text: str) -> dict[str, Any]:
    """All of it, without spaces around.

    Example:
        >>> whole(" Paris. ")
        {'answer': 'Paris.'}
    """
    return {"answer": text.strip()}


def cue(
    text: str,
    *,
    cue: str,
    until: str = "",
    label: Literal["text", "choice", "equation"] = "text",
    take: Literal["only", "first", "last"] = "only",
) -> dict[str, Any]:
    """Reasons, a cue, and the answer.

    Args:
        text: the teacher's.
        cue: words between reasons and answer.
        until: words at which the teacher begins a question of its own: all from there on is left out.
        label: how the answer is written: as text, whose final dot goes; as a choice, which is what stands
            behind its letter in brackets; as an equation, from the first opening to the last closing
            bracket of the first line that has them.
        take: which cue counts where there are several; `only`: then there is no telling.

    Returns:
        `rationale` and `answer`, neither empty, and `reasoned`: both with the cue between them.

    Raises:
        ParseFailed: `no_cue`, `several_cues`, `no_rationale` or `no_answer`.

    Example:
        >>> found = cue("Ink is wet. So the answer is (b) ink.", cue="So the answer is", label="choice")
        >>> found["rationale"], found["answer"]
        ('Ink is wet.', 'ink')

    Source:
        google-research/distilling-step-by-step, `data_utils.py`, `_parse_llm_output` of its loaders. What
        they read, we read. Where they give up they raise an error (CQA without its cue), keep a blank as
        the label and often as the reasons too, or take off the last letter of a label without a dot
        (ANLI): we say why and leave the row out.
    """
    if until:
        text = text.partition(until)[0]
    count = text.count(cue)
    if not count:
        raise ParseFailed("no_cue", f"'{cue}' does not occur")
    if count > 1 and take == "only":
        raise ParseFailed("several_cues", f"'{cue}' occurs {count} times")
    before, _, behind = text.rpartition(cue) if take == "last" else text.partition(cue)
    if take == "first":
        behind = behind.partition(cue)[0]
    rationale, answer = before.strip(), _label(behind, label)
    if not rationale:
        raise ParseFailed("no_rationale", f"nothing stands before '{cue}'")
    if not answer:
        raise ParseFailed("no_answer", f"no {label} stands behind '{cue}'")
    return {"rationale": rationale, "answer": answer, "reasoned": f"{before.rstrip()} {cue}{behind}".strip()}


def _label(text: str, label: str) -> str:
    if label == "equation":
        found = _EQUATION.search(text)
        return found.group(0) if found else ""
    if label == "choice":
        parts = _CHOICE.split(text)
        text = parts[1] if len(parts) > 1 else ""
    return text.strip().removesuffix(".").rstrip()
