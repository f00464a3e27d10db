"""Checks of prompts before anything is asked."""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from limbeck.core.errors import Problem, UserError
from limbeck.core.prompting.prompt import load_prompt


@dataclass(frozen=True)
class Fills:
    """Marks a setting that names a prompt, or several: `prompt: Annotated[str, Fills(...)]`.

    Attributes:
        gives: names of values that the templates have beside the columns of the row.
        reads: what the operator reads of the parser's findings.
    """

    gives: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()


def prompt_problems(
    function: Callable[..., Any], options: Mapping[str, Any], columns: Collection[str]
) -> list[Problem]:
    """What is wrong with the prompts of an operator or a gate, for rows with these columns.

    Args:
        function: its settings that name prompts are marked by `Fills`.
        options: settings that are given; the others have their defaults.
        columns: of the rows.

    Returns:
        One problem for each file that cannot be read, each template that asks for what is not there, and
        each parser that does not find what is read.
    """
    return [
        problem
        for word, fills in prompts_named(function, options)
        for problem in _of_one(word, fills, columns)
    ]


def prompts_named(function: Callable[..., Any], options: Mapping[str, Any]) -> Iterator[tuple[str, Fills]]:
    """The prompts that an operator or a gate asks by, each with how it fills it.

    Args:
        function: its settings that name prompts are marked by `Fills`.
        options: settings that are given; the others have their defaults.
    """
    defaults = {name: one.default for name, one in inspect.signature(function).parameters.items()}
    for name, hint in get_type_hints(function, include_extras=True).items():
        for fills in (one for one in getattr(hint, "__metadata__", ()) if isinstance(one, Fills)):
            words = options.get(name, defaults[name])
            for word in [words] if isinstance(words, str) else words or ():
                yield word, fills


def _of_one(word: str, fills: Fills, columns: Collection[str]) -> list[Problem]:
    try:
        prompt = load_prompt(word)
    except UserError as error:
        return list(error.problems)
    finds = prompt.file.parser.finds
    lost = [name for name in fills.reads if name not in finds]
    unread = f"must find {', '.join(lost)}, got {prompt.file.parser.name}, which finds {', '.join(finds)}."
    return [
        *prompt.problems(columns, fills.gives),
        *([Problem(f"{prompt.path}: parser", unread)] if lost else []),
    ]
