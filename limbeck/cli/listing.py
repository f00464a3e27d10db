"""`limbeck list`: read from the source of the catalogued folders, nothing is imported."""

import json
import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from limbeck.cli.families import FAMILIES
from limbeck.cli.inputs import Input, inputs_of, settings, written
from limbeck.core.catalogue import REQUIRED, Entry, catalogue
from limbeck.core.docstrings import without_arguments
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import unknown

STUDENTS = {
    "model": ("model: DIR_OR_ID", "A model as it is; its weights are the start."),
    "cut": (
        "cut: DIR_OR_ID, layers: 6",
        "Some layers of a model, weights and all: a number, evenly spaced, or a list.",
    ),
    "prune": (
        "prune: DIR_OR_ID, ratio: 0.6",
        "The parts of a causal model that matter most on a few rows: a share pruned away, or sizes.",
    ),
    "fresh": (
        "fresh: DIR_OR_ID, sizes: {...}",
        "New weights in the shape of a model, with some sizes changed.",
    ),
    "tokenizer": (
        "model: DIR_OR_ID, tokenizer: DIR_OR_ID",
        "Any of these with another tokenizer: a folder, a hub id, or the word `bytes`.",
    ),
}
TEACHERS = {
    "model": (
        "model: DIR_OR_ID",
        "A model in this process: a folder, a hub id, or the out of an earlier step.",
    ),
    "signals": (
        "signals: DIR",
        "A store of what a teacher said (`limbeck capture`); also the out of a capture step.",
    ),
    "ensemble": (
        "ensemble: [A, B], mean: probabilities",
        "Several models or stores as one, averaged; `route` sends each row to one of them.",
    ),
    "endpoint": (
        "endpoint: URL, model: NAME",
        "A model behind an API (OpenAI's form, Anthropic's, plain completions), which writes text.",
    ),
}
_CATALOGUED = {
    "recipes": "recipes",
    "objectives": "objectives",
    "schedules": "schedules",
    "metrics": "evaluation",
    "operators": "operators",
    "gates": "gates",
    "selectors": "selectors",
}
_FIXED: Mapping[str, Mapping[str, tuple[str, str]]] = {"students": STUDENTS, "teachers": TEACHERS}
_FLAGS = ("--json", "--debug")
KINDS = (*_CATALOGUED, *_FIXED, "settings")
_MORE = f"limbeck list recipes NAME explains a recipe; limbeck list {' | '.join(KINDS[1:])} shows its parts."


def print_list(words: Sequence[str]) -> None:
    """Print the recipes, another kind of part, or one recipe or part; `--json` asks for JSON.

    Raises:
        ConfigError: a word that is no kind, or no part of that kind.
    """
    flags = {word for word in words if word.startswith("-")}
    named = [word for word in words if word not in flags]
    kind, names = (named[0], named[1:]) if named else (None, [])
    problems = [Problem("list", unknown("option", word, _FLAGS)) for word in sorted(flags - set(_FLAGS))]
    if kind is not None and kind not in KINDS:
        problems.append(Problem("list", unknown("list", kind, KINDS)))
    elif kind is not None:
        known = [entry["name"] for entry in _entries(kind)]
        problems += [Problem(kind, unknown("name", name, known)) for name in names if name not in known]
    if problems:
        raise ConfigError(problems)
    if "--json" in flags:
        _print_json(kind, names)
    elif kind is None:
        _print_families()
        print("\n".join(_wrapped(_MORE)))
    elif names:
        print("\n\n".join(text(kind, name) for name in names))
    elif kind == "recipes":
        _print_families()
    elif kind == "settings":
        print("\n".join(_explained(settings())))
    else:
        _print_kind(kind)


def recipe_text(name: str) -> str:
    """What a recipe does, and its inputs with kind, default and meaning, as wide as the terminal."""
    entry = catalogue("recipes")[name]
    lines = [*_wrapped(f"{name}: {entry.summary}"), *_prose(entry), "", "inputs"]
    given = inputs_of(entry)
    lines += _explained(given)
    required = [one.name for one in given if one.default == REQUIRED]
    command = " ".join(["limbeck run", name, *(f"{name}=..." for name in required)])
    return "\n".join([*lines, "", f"$ {command}"])


def _explained(inputs: Sequence[Input]) -> list[str]:
    """A block for each input: name, what may be given, default, and what it means."""
    lines = []
    indent = max(len(one.name) for one in inputs) + 4
    for one in inputs:
        default = REQUIRED if one.default == REQUIRED else f"default {one.default}"
        first, *others = _wrapped(f"{one.kind}, {default}", " " * indent)
        lines += [f"  {one.name:<{indent - 2}}{first.strip()}", *others]
        lines += _wrapped(one.meaning, " " * indent)
    return lines


def text(kind: str, name: str) -> str:
    """What is known of one part."""
    if kind == "recipes":
        return recipe_text(name)
    if kind == "settings":
        return "\n".join(_explained([one for one in settings() if one.name == name]))
    if kind in _FIXED:
        form, summary = _FIXED[kind][name]
        return "\n".join([f"{name}: {{{form}}}", *_wrapped(summary, "  ")])
    entry = catalogue(_CATALOGUED[kind])[name]
    arguments = [*entry.positional, "*", *_pairs(entry.keywords)] if entry.keywords else entry.positional
    return "\n".join([*_wrapped(f"{name}({', '.join(arguments)})"), "", entry.doc])


def _prose(entry: Entry) -> list[str]:
    """What the docstring says after its first line, paragraph by paragraph."""
    paragraphs = without_arguments(entry.doc).split("\n\n")[1:]
    return [line for paragraph in paragraphs for line in ("", *_wrapped(" ".join(paragraph.split())))]


def _print_families() -> None:
    for family, recipes in FAMILIES.items():
        print(family)
        for name, line in recipes.items():
            print(f"  {name:<17}  {line}")


def _print_kind(kind: str) -> None:
    entries = _entries(kind)
    width = max(len(entry["name"]) for entry in entries) + 4
    for entry in entries:
        first, *others = _wrapped(entry["summary"], " " * width)
        print(f"  {entry['name']:<{width - 2}}{first.strip()}")
        print("\n".join([*others, *_wrapped(_detail(entry), " " * width)]))


def _print_json(kind: str | None, names: Sequence[str]) -> None:
    found: Any = {one: _entries(one) for one in ((kind,) if kind else KINDS)}
    if kind is not None:
        found = [entry for entry in found[kind] if not names or entry["name"] in names]
    print(json.dumps(found, indent=2, ensure_ascii=False))


def _entries(kind: str) -> list[dict[str, Any]]:
    if kind == "settings":
        return [
            {"name": one.name, "summary": one.meaning, "kind": one.kind, "default": one.default}
            for one in settings()
        ]
    if kind in _FIXED:
        return [{"name": name, "write": form, "summary": text} for name, (form, text) in _FIXED[kind].items()]
    entries = catalogue(_CATALOGUED[kind]).values()
    if kind == "recipes":
        return [
            {"name": one.name, "summary": one.summary, "inputs": [asdict(given) for given in inputs_of(one)]}
            for one in entries
        ]
    if kind == "objectives":
        return [
            {
                "name": entry.name,
                "summary": entry.summary,
                "reads": list(entry.positional),
                "hyperparameters": dict(entry.keywords),
            }
            for entry in entries
        ]
    if kind in ("schedules", "operators", "gates", "selectors"):
        return [
            {"name": entry.name, "summary": entry.summary, "options": dict(entry.keywords)}
            for entry in entries
        ]
    return [{"name": entry.name, "summary": entry.summary} for entry in entries]


def _detail(entry: Mapping[str, Any]) -> str:
    if "write" in entry:
        return f"{{{entry['write']}}}"
    if "reads" in entry:
        hyper = " ".join(_pairs(entry["hyperparameters"]))
        return f"reads {', '.join(entry['reads'])}" + (f"; {hyper}" if hyper else "")
    return " ".join(_pairs(entry.get("options", {})))


def _pairs(options: Mapping[str, Any]) -> list[str]:
    """Required ones first, bare; the others with their defaults."""
    required = [name for name, default in options.items() if default == REQUIRED]
    others = [f"{name}={written(default)}" for name, default in options.items() if default != REQUIRED]
    return [*required, *others]


def _wrapped(words: str | Iterable[str], indent: str = "") -> list[str]:
    """Lines as wide as the terminal, broken between words only."""
    width = max(shutil.get_terminal_size().columns, 40)
    return textwrap.wrap(
        words if isinstance(words, str) else " ".join(words),
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
