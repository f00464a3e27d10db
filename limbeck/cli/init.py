"""`limbeck init`: looks at models and data and writes a recipe that fits, with the reason of each choice."""

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from limbeck.cli.quiet import silence
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import unknown
from limbeck.runs.resolve import SUFFIXES, parse_pairs

_ASKED = {
    "teacher": "Teacher (folder or hub id)",
    "student": "Student (folder or hub id; empty: half of the teacher's layers)",
    "data": "Data (file, folder or hub id)",
}
_OPTIONAL = ("student",)
_WIDTH = 100


def init_command(pairs: Sequence[str], out: Path) -> None:
    """Ask for what is missing, choose a recipe, plan it, write it.

    Raises:
        ConfigError: an unknown key, or no recipe fits.
        UserError: whatever planning the recipe finds wrong.
    """
    given = parse_pairs(pairs)
    problems = [Problem(key, unknown("key", key, _ASKED)) for key in given if key not in _ASKED]
    if out.suffix not in SUFFIXES:
        problems.append(Problem("--out", f"must end with .yaml, got {out}."))
    elif out.exists():
        problems.append(Problem("--out", f"must be a new file, got {out}, which exists. Choose another."))
    words = {**_answers(given), **given} if not problems else given
    missing = [key for key in _ASKED if key not in words and key not in _OPTIONAL]
    if missing:
        example = "limbeck init teacher=DIR_OR_ID student=DIR_OR_ID data=FILE"
        problems.append(Problem("init", f"needs {' and '.join(missing)}. For example: {example}"))
    if problems:
        raise ConfigError(problems)
    silence()
    with Console(stderr=True).status("looking at models and data ..."):
        from limbeck.runs.checking.plan import make_plan
        from limbeck.runs.commands.findings import look
        from limbeck.runs.commands.initial import initial_recipe

        found = look(str(words["teacher"]), str(words["data"]), words.get("student"))
        made = initial_recipe(found)
        make_plan(made.recipe, Path("runs") / made.recipe.name)
    out.write_text(
        commented(made.recipe.to_yaml(), _outs(made.recipe), made.reasons, found.said), encoding="utf-8"
    )
    for line in found.said:
        print(line)
    print(f"wrote {out}, a recipe like {made.recipe.name}.\nnext: limbeck plan {out}, then limbeck run {out}")


def commented(
    text: str, outs: Sequence[str], reasons: Mapping[str, Sequence[str]], seen: Sequence[str]
) -> str:
    """A recipe's YAML with what was seen above it, and above each step the reasons of its choices.

    Args:
        text: as of `Recipe.to_yaml`.
        outs: of the steps, in order.
        reasons: out -> sentences.
        seen: sentences.
    """
    lines = [f"# {line}" for line in seen]
    place = 0
    for line in text.splitlines():
        if line.startswith("  - "):
            lines += [comment for words in reasons.get(outs[place], ()) for comment in _comment(words)]
            place += 1
        lines.append(line)
    return "\n".join(lines) + "\n"


def _comment(words: str) -> list[str]:
    return textwrap.wrap(
        words, _WIDTH, initial_indent="  # ", subsequent_indent="  #   ", break_long_words=False
    )


def _outs(recipe: Any) -> list[str]:
    return [step.out for step in recipe.steps]


def _answers(given: Mapping[str, Any]) -> dict[str, str]:
    """What the user answers, where somebody can."""
    if not sys.stdin.isatty():
        return {}
    answers = {key: input(f"{question}: ").strip() for key, question in _ASKED.items() if key not in given}
    return {key: answer for key, answer in answers.items() if answer}
