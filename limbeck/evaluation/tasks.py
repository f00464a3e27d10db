"""Judges of a completion: one function a task, each with its rule in words."""

import ast
import codeop
import io
import token
import tokenize
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from limbeck.evaluation.answers import final_answer, same_answer


@dataclass(frozen=True)
class Judge:
    """A task: its rule in words, and the function (prompt, completion, reference, stopped) -> passed.

    Attributes:
        rule: in words.
        passes: (prompt, completion, reference, stopped) -> whether the completion passes.
        null: a constant text; what it passes, a model passes that has learnt nothing but to write it.
    """

    rule: str
    passes: Callable[[str, str, str, bool], bool]
    null: str = ""


def python_syntax(prompt: str, completion: str, reference: str, stopped: bool) -> bool:
    """Whether the completion adds a statement, and prompt + completion is Python as far as it goes."""
    if stopped:
        return bool(statements(prompt, completion + "\n")) and _parses(prompt + completion)
    lines = completion[: completion.rfind("\n") + 1]
    return bool(statements(prompt, lines)) and _begins_python(prompt + lines)


def statements(prompt: str, completion: str) -> set[str]:
    """The different statements that begin and end in the completion, their tokens joined by blanks.

    Comments, docstrings and other bare constants, single names, `pass`, and whatever lies in a string that
    the prompt has opened are none.
    """
    before = prompt.split("\n")
    start = (len(before), len(before[-1]))
    found: set[str] = set()
    line: list[tokenize.TokenInfo] = []
    try:
        for one in tokenize.generate_tokens(io.StringIO(prompt + completion).readline):
            if one.type == token.NEWLINE:
                if line and line[0].start >= start and _does_something(line):
                    found.add(" ".join(part.string for part in line))
                line = []
            elif one.type not in _LAYOUT:
                line.append(one)
    except (tokenize.TokenError, SyntaxError):
        pass  # what lies before the error or the open bracket counts
    return found


def exact_match(prompt: str, completion: str, reference: str, stopped: bool) -> bool:
    """Whether the completion is the reference, but for white space around it."""
    return completion.strip() == reference.strip()


def same_final_answer(prompt: str, completion: str, reference: str, stopped: bool) -> bool:
    """Whether the completion ends with the answer that the reference ends with."""
    return same_answer(final_answer(completion), final_answer(reference))


TASKS: Mapping[str, Judge] = {
    "python_syntax": Judge(
        "A greedy completion passes when it adds at least one statement and Python finds no syntax error. A "
        "statement begins and ends in the completion; comments, docstrings, bare constants and names, "
        "`pass`, and text inside a string that the prompt opened are none. A completion that ended at EOS is "
        "parsed whole behind its prompt; one that was cut is shortened to its last complete line; a block, "
        "bracket or string still open there is no error.",
        python_syntax,
        null="\nx = 0\n",
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


_LAYOUT = frozenset({token.NL, token.COMMENT, token.INDENT, token.DEDENT, token.ENDMARKER})
_ALONE = frozenset({"return", "break", "continue", "raise"})


def _does_something(line: Sequence[tokenize.TokenInfo]) -> bool:
    """Whether a logical line is more than constants, a name or `pass`."""
    if len(line) == 1 and line[0].type == token.NAME:
        return line[0].string in _ALONE
    return any(one.type in (token.NAME, token.OP) and one.string != "..." for one in line)


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
