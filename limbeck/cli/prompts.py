"""`limbeck prompts`: prompts that are shipped, as a teacher would read them, and as files of one's own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from limbeck.cli.consoles import plain_console
from limbeck.cli.quiet import silence
from limbeck.core.catalogue import catalogue
from limbeck.core.errors import ConfigError, Problem, RunFolderError
from limbeck.core.lookup import unknown
from limbeck.core.prompting import (
    Drawing,
    Prompt,
    load_prompt,
    prompt_path,
    prompts_named,
    shipped_prompts,
)
from limbeck.core.prompting.prompt import GIVEN

_LOADED = ("data", "columns", "keep", "split")
_ANY = Drawing(max_tokens=1, temperature=0.0)


class Blank(str):
    """Stands for a value that an operator gives: whatever is asked of it is such a value too."""

    def __getattr__(self, name: str) -> "Blank":
        if name.startswith("__"):
            raise AttributeError(name)
        return Blank(f"{self[:-1]}.{name}>")

    def __iter__(self) -> Iterator["Blank"]:
        yield self


def list_command(*, as_json: bool) -> None:
    """Print the prompts that are shipped, with the operators that use each."""
    users = _users()
    found = [
        {"name": name, "about": load_prompt(name).file.about, "used_by": users.get(name, [])}
        for name in shipped_prompts()
    ]
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = plain_console()
    for one in found:
        used = f" ({', '.join(one['used_by'])})" if one["used_by"] else ""
        console.print(f"{one['name']}{used}", style="bold", highlight=False)
        console.print(f"  {one['about']}", highlight=False)
    console.print("limbeck prompts copy NAME makes a file of your own; name it in a recipe.", highlight=False)


def show_command(word: str, pairs: Sequence[str], *, as_json: bool) -> None:
    """Print a prompt: the file, or with data what teacher and student read for its first row.

    Raises:
        ConfigError: no such prompt, or a template asks for what the rows do not have.
    """
    from limbeck.runs.resolve import parse_pairs

    silence()
    prompt, given = load_prompt(word), parse_pairs(pairs)
    wrong = [Problem(name, unknown("word", name, _LOADED)) for name in given if _outer(name) not in _LOADED]
    if wrong or (given and "data" not in given):
        raise ConfigError(wrong or [Problem("data", "must name rows, got none. Add data=FILE.")])
    if not given:
        print(prompt.path.read_text(encoding="utf-8"), end="")
        return
    row = _first(given)
    problems = list(prompt.problems(row, _given_by_operators()))
    if problems:
        raise ConfigError(problems)
    found = {"row": row.get("id"), **_rendered(prompt, row)}
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    console = plain_console()
    for who in ("teacher", "student"):
        console.print(f"{who} reads, for row {found['row']}", style="bold", highlight=False)
        for role, text in found[who]:
            console.print(f"[{role}]", style="dim", markup=False, highlight=False)
            console.print(text, markup=False, highlight=False, soft_wrap=True)
        console.print()
    console.print(f"The answer is read by: {found['parser']}.", highlight=False)


def copy_command(name: str, target: Path | None) -> None:
    """Copy a prompt into a file of the user's.

    Raises:
        ConfigError: no such prompt.
        RunFolderError: there is such a file already.
    """
    source = prompt_path(name)
    path = target or Path(source.name)
    if path.exists():
        raise RunFolderError(f"{path} must be a new file, got one that is there. Name another one.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    print(f"{path} is yours to change. In a recipe: prompt: {path}")


def _rendered(prompt: Prompt, row: Mapping[str, Any]) -> dict[str, Any]:
    blanks = {name: Blank(f"<{name}>") for name in _names(prompt) if name not in row and name not in GIVEN}
    request = prompt.request(row, _ANY, values=blanks)
    learnt = prompt.learnt(row, "<answer>", values=blanks)
    turns = learnt.get("messages") or [{"role": "user", "content": _asked(learnt)}]
    return {
        "teacher": [("text", request.text)] if request.text is not None else _said(request.messages),
        "student": _said([turn for turn in turns if turn.get("content") != "<answer>"]),
        "parser": prompt.file.parser.name,
    }


def _asked(row: Mapping[str, Any]) -> str:
    from limbeck.core.prompting.own import own_text

    return own_text(row)


def _said(turns: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(str(turn["role"]), str(turn.get("content") or "")) for turn in turns]


def _names(prompt: Prompt) -> set[str]:
    return {name for template in prompt.templates.values() for name in template.names}


def _first(given: Mapping[str, Any]) -> dict[str, Any]:
    from limbeck.rows.load import load_rows

    columns = {name.partition(".")[2]: value for name, value in given.items() if name.startswith("columns.")}
    columns |= given.get("columns", {})
    keep = given.get("keep", ())
    return load_rows(str(given["data"]), columns=columns, keep=keep, split=given.get("split"), limit=1)[0]


def _outer(name: str) -> str:
    return name.partition(".")[0]


def _users() -> dict[str, list[str]]:
    """Operators that ask by a prompt unless another is given, by its name."""
    users: dict[str, list[str]] = {}
    for entry in catalogue("operators").values():
        for prompt, _ in prompts_named(entry.load(), {}):
            users.setdefault(prompt, []).append(entry.name)
    return {name: list(dict.fromkeys(found)) for name, found in users.items()}


def _given_by_operators() -> set[str]:
    named = (prompts_named(entry.load(), {}) for entry in catalogue("operators").values())
    return {name for found in named for _, fills in found for name in fills.gives}
