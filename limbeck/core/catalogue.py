"""What a folder of functions offers, read from its source: `list` and config checks never import torch.

A catalogued package imports its public functions by name in its `__init__.py`; that file is
the list. Signatures and first lines are read from the modules with `ast`.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

REQUIRED = "required"
"""Stands for the default of a hyperparameter that has none."""

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Entry:
    """A public function: where it is, what it takes, what its docstring says."""

    name: str
    module: str
    positional: tuple[str, ...]
    keywords: Mapping[str, Any]
    doc: str

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.strip().split("\n", 1)[0]

    def load(self) -> Any:
        """Import the module and return the function itself."""
        return getattr(import_module(self.module), self.name)


@cache
def catalogue(package: str) -> Mapping[str, Entry]:
    """Every function named in `limbeck/<package>/__init__.py`, by name; nested packages with a slash."""
    home = f"limbeck.{package.replace('/', '.')}."
    tree = ast.parse((_ROOT / package / "__init__.py").read_text(encoding="utf-8"))
    entries: dict[str, Entry] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(home):
            wanted = {alias.name for alias in node.names}
            entries.update({entry.name: entry for entry in _entries(node.module) if entry.name in wanted})
    return dict(sorted(entries.items()))


def _entries(module: str) -> list[Entry]:
    path = _ROOT.parent.joinpath(*module.split(".")).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [_entry(node, module) for node in tree.body if isinstance(node, ast.FunctionDef)]


def _entry(node: ast.FunctionDef, module: str) -> Entry:
    arguments = node.args
    keywords = {
        argument.arg: REQUIRED if default is None else _value(default)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }
    positional = tuple(argument.arg for argument in arguments.posonlyargs + arguments.args)
    return Entry(node.name, module, positional, keywords, ast.get_docstring(node) or "")


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)
