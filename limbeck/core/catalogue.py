"""What a folder of functions offers, read from its source: `list` and config checks never import torch.

A catalogued package imports its public functions by name in its `__init__.py`; that file is
the list. Signatures and first lines are read from the modules with `ast`.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from limbeck.core.docstrings import argument_meanings

REQUIRED = "required"
"""Stands for the default of a hyperparameter that has none."""

_ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Entry:
    """A public function: where it is, what it takes, what its docstring says.

    Attributes:
        name: of the function.
        module: that it is in.
        positional: arguments by place.
        keywords: arguments by name, with their defaults.
        doc: its docstring.
        annotations: of the keywords, as the source writes them.
    """

    name: str
    module: str
    positional: tuple[str, ...]
    keywords: Mapping[str, Any]
    doc: str
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def meanings(self) -> Mapping[str, str]:
        """What the docstring says of each argument."""
        return argument_meanings(self.doc)

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.strip().split("\n", 1)[0]

    def load(self) -> Any:
        """Import the module and return the function itself."""
        return getattr(import_module(self.module), self.name)


@cache
def constant(module: str, name: str, default: Any = None) -> Any:
    """The literal that a module assigns to a name, read from its source; `default` where it assigns none."""
    found = _assigned(ast.Name(name), _tree(module))
    return default if isinstance(found, ast.Name) else ast.literal_eval(found)


@dataclass(frozen=True)
class ClassField:
    """A field of a configuration, as its source declares it: `default` and `about` come from `Field(...)`."""

    name: str
    annotation: str
    default: Any
    about: str


@cache
def class_fields(module: str, name: str) -> tuple[ClassField, ...]:
    """The fields of a configuration class, read from its source."""
    return tuple(_class_field(node, _tree(module)) for node in _annotated(module, name))


def _class_field(node: ast.AnnAssign, tree: ast.Module) -> ClassField:
    assert isinstance(node.target, ast.Name), "fields are names"
    words, default = {}, REQUIRED if node.value is None else _value(node.value, tree)
    if isinstance(node.value, ast.Call):
        words = {str(word.arg): word.value for word in node.value.keywords}
        default = _value(words["default"], tree) if "default" in words else REQUIRED
    bounds = [f"{name}={ast.unparse(words[name])}" for name in ("ge", "gt", "le", "lt") if name in words]
    kind = _kind(node.annotation, tree)
    about = str(_value(words["description"], tree)) if "description" in words else ""
    return ClassField(
        node.target.id, f"Annotated[{kind}, Field({', '.join(bounds)})]" if bounds else kind, default, about
    )


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
    tree = _tree(module)
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [_entry(node, module, tree) for node in functions]


@cache
def _tree(module: str) -> ast.Module:
    path = _ROOT.parent.joinpath(*module.split(".")).with_suffix(".py")
    return ast.parse(path.read_text(encoding="utf-8"))


def _entry(node: ast.FunctionDef | ast.AsyncFunctionDef, module: str, tree: ast.Module) -> Entry:
    arguments = node.args
    own = {
        argument.arg: REQUIRED if default is None else _value(default, tree)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    }
    kinds = {one.arg: _kind(one.annotation, tree) for one in arguments.kwonlyargs if one.annotation}
    positional = arguments.posonlyargs + arguments.args
    doc = ast.get_docstring(node) or ""
    changed = _decorated(node, tree)
    if changed is None:
        return Entry(node.name, module, tuple(argument.arg for argument in positional), own, doc, kinds)
    fields = _fields(positional[0].annotation, tree)
    usual = {one.target.id: REQUIRED if one.value is None else _value(one.value, tree) for one in fields}
    usual |= changed
    required = {name: default for name, default in usual.items() if default == REQUIRED}
    kinds |= {one.target.id: ast.unparse(one.annotation) for one in fields}
    return Entry(node.name, module, (), required | own | usual, doc, kinds)


def _decorated(node: ast.FunctionDef | ast.AsyncFunctionDef, tree: ast.Module) -> dict[str, Any] | None:
    """Changed defaults of a function whose first argument a decorator spreads into keywords, or None."""
    if not node.decorator_list or not isinstance(node.decorator_list[0], ast.Call):
        return None
    return {str(word.arg): _value(word.value, tree) for word in node.decorator_list[0].keywords}


def _fields(annotation: ast.expr | None, tree: ast.Module) -> list[Any]:
    """Fields of the dataclass that an argument is, which the module imports."""
    assert isinstance(annotation, ast.Name), "a spread argument names its class"
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    home = next(node for node in imports if annotation.id in {alias.name for alias in node.names})
    return _annotated(str(home.module), annotation.id)


def _annotated(module: str, name: str) -> list[Any]:
    classes = [node for node in _tree(module).body if isinstance(node, ast.ClassDef)]
    found = next(node for node in classes if node.name == name)
    return [one for one in found.body if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)]


def _value(node: ast.expr, tree: ast.Module) -> Any:
    node = _assigned(node, tree)
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _kind(node: ast.expr, tree: ast.Module) -> str:
    """An annotation as the source writes it, with the module's own aliases written out."""

    class Rollout(ast.NodeTransformer):
        def visit_Name(self, name: ast.Name) -> ast.expr:
            return _assigned(name, tree)

    return ast.unparse(Rollout().visit(ast.fix_missing_locations(node)))


def _assigned(node: ast.expr, tree: ast.Module) -> ast.expr:
    """What the module assigns to a name, or the expression itself."""
    if not isinstance(node, ast.Name):
        return node
    for line in tree.body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None:
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            if any(isinstance(target, ast.Name) and target.id == node.id for target in targets):
                return line.value
    return node
