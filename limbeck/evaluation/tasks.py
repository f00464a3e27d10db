"""Judges of a completion: one function a task, each with its rule in words."""

import ast
import codeop
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from limbeck.evaluation.answers import final_answer, same_answer


@dataclass(frozen=True)
class Judge:
    """A task: its rule in words, and the function (prompt, completion, reference, stopped) -> passed."""

    rule: str
    passes: Callable[[str, str, str, bool], bool]


def python_syntax(prompt: str, completion: str, reference: str, stopped: bool) -> bool:
    """Whether prompt + completion is Python without a syntax error as far as it goes."""
    if stopped:
        return bool(completion.strip()) and _parses(prompt + completion)
    lines, _, _ = completion.rpartition("\n")
    return bool(lines.strip()) and _begins_python(prompt + lines + "\n")


def exact_match(prompt: str, completion: str, reference: str, stopped: bool) -> bool:
    """Whether the completion is the reference, but for white space around it."""
    return completion.strip() == reference.strip()


def same_final_answer(prompt: str, completion: str, reference: str, stopped: bool) -> bool:
    """Whether the completion ends with the answer that the reference ends with."""
    return same_answer(final_answer(completion), final_answer(reference))


TASKS: Mapping[str, Judge] = {
    "python_syntax": Judge(
        "A greedy completion that the model ended itself passes when ast.parse accepts prompt + completion. "
        "One that was cut off is shortened to its last complete line (at least one that is not blank) and "
        "passes when Python finds no syntax error up to there; a block, bracket or string still open at the "
        "cut is no error.",
        python_syntax,
    ),
    "exact_match": Judge(
        "A greedy completion passes when it equals the reference, white space around both left out.",
        exact_match,
    ),
    "final_answer": Judge(
        "A greedy completion passes when it ends with the reference's answer: all that stands in the last "
        "\\boxed{...}, or the first number or option letter behind the last #### or `answer is`, else the "
        "last number. Numbers, fractions and powers are compared by value; 50% is 50. Agreement: share of "
        "prompts on which a model ends with the teacher's answer, among those where the teacher gives one. "
        "BLEU: of a model's completions against the teacher's, over the corpus.",
        same_final_answer,
    ),
}


def _parses(source: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes and the like in what a model wrote
        try:
            ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True


def _begins_python(source: str) -> bool:
    """No error before the end: complete, or merely unfinished (`compile_command` then gives None)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            codeop.compile_command(source, symbol="exec")
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            return False
    return True
