"""`limbeck list`: read from the source of the catalogued folders, nothing is imported."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.core.catalogue import Entry, catalogue
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
}
TEACHERS = {
    "local": (
        "model: DIR_OR_ID",
        "A model in this process: a folder, a hub id, or the out of an earlier step.",
    ),
    "stored": (
        "signals: DIR",
        "A store of what a teacher said (`limbeck capture`); also the out of a capture step.",
    ),
}
_CATALOGUED = {
    "recipes": "recipes",
    "objectives": "objectives",
    "schedules": "schedules",
    "metrics": "evaluation",
}
_FIXED: Mapping[str, Mapping[str, tuple[str, str]]] = {"students": STUDENTS, "teachers": TEACHERS}
_FLAGS = ("--json", "--debug")
_WORDS = {None: "null", True: "true", False: "false"}
KINDS = (*_CATALOGUED, *_FIXED)


def print_list(words: Sequence[str]) -> None:
    """Print one kind of part, or all; `--json` among the words asks for JSON.

    Raises:
        ConfigError: a word that is no kind, or two kinds.
    """
    flags = {word for word in words if word.startswith("-")}
    kinds = [word for word in words if word not in flags]
    problems = [Problem("list", unknown("option", word, _FLAGS)) for word in sorted(flags - set(_FLAGS))]
    problems += [Problem("list", unknown("list", word, KINDS)) for word in kinds if word not in KINDS]
    if len(kinds) > 1:
        problems.append(Problem("list", f"must be one kind or none, for all; got {', '.join(kinds)}."))
    if problems:
        raise ConfigError(problems)
    what, as_json = (kinds[0] if kinds else None), "--json" in flags
    found = {kind: _entries(kind) for kind in ((what,) if what else KINDS)}
    if as_json:
        print(json.dumps(found[what] if what else found, indent=2, ensure_ascii=False))
        return
    for kind, entries in found.items():
        print(f"{kind}")
        width = max(len(entry["name"]) for entry in entries)
        for entry in entries:
            print(f"  {entry['name']:<{width}}  {entry['summary']}")
            detail = _detail(entry)
            if detail:
                print(f"  {'':<{width}}  {detail}")
        print()


def _entries(kind: str) -> list[dict[str, Any]]:
    if kind in _FIXED:
        return [{"name": name, "write": form, "summary": text} for name, (form, text) in _FIXED[kind].items()]
    entries = catalogue(_CATALOGUED[kind]).values()
    if kind == "recipes":
        made = [entry for entry in entries if not entry.positional and entry.name != "matched"]
        return [
            {"name": entry.name, "summary": entry.summary, "inputs": dict(entry.keywords)} for entry in made
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
    if kind == "schedules":
        return [_schedule(entry) for entry in entries]
    return [{"name": entry.name, "summary": entry.summary} for entry in entries]


def _schedule(entry: Entry) -> dict[str, Any]:
    return {"name": entry.name, "summary": entry.summary, "options": dict(entry.keywords)}


def _detail(entry: Mapping[str, Any]) -> str:
    if "write" in entry:
        return f"{{{entry['write']}}}"
    if "reads" in entry:
        hyper = _options(entry["hyperparameters"])
        return f"reads {', '.join(entry['reads'])}" + (f"; {hyper}" if hyper else "")
    return _options(entry.get("inputs") or entry.get("options") or {})


def _options(options: Mapping[str, Any]) -> str:
    """Required ones first, bare; the others with their defaults."""
    required = [name for name, default in options.items() if default == "required"]
    others = [
        f"{name}={_WORDS.get(default, default) if isinstance(default, bool | None) else default}"
        for name, default in options.items()
        if default != "required"
    ]
    return " ".join([*required, *others])
