"""YAML as recipes use it: the core schema of YAML 1.2, and no key twice.

PyYAML follows YAML 1.1, where the key `on` is the boolean true and `1e-4` is text.
"""

import re
from collections.abc import Hashable
from typing import Any

import yaml

from limbeck.core.errors import ConfigError

_WIDTH = 110
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_INT = re.compile(r"[-+]?[0-9]+")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_LONGEST = 500_000  # characters
_MOST, _DEEPEST = 10_000, 50  # values and levels: a large recipe has a tenth of that
_MERGE = "tag:yaml.org,2002:merge"
_KINDS = ("null", "bool", "int", "float", "str", "seq", "map")
_TAGS = frozenset({_MERGE, *(f"tag:yaml.org,2002:{kind}" for kind in _KINDS)})
_REPLACED = ("bool", "float", "int", "timestamp")


class _Loader(yaml.SafeLoader):
    """Plain values only, and so few of them that reading takes no time, whatever aliases make of them."""

    _depth = _read = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth, self._read = self._depth + 1, self._read + 1
        if self._depth > _DEEPEST:
            raise _refused(self.peek_event().start_mark, f"it nests more than {_DEEPEST} deep")
        if self._read > _MOST:
            raise _refused(self.peek_event().start_mark, f"it has more than {_MOST:,} values")
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and node.tag not in _TAGS:
            raise _refused(node.start_mark, f"the tag {node.tag} is not known here")
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for name, _ in node.value:
            if name.tag == _MERGE:
                continue
            key = self.construct_object(name, deep=True)
            if not isinstance(key, Hashable):
                raise _refused(name.start_mark, "a key must be a word or a number")
            if key in seen:
                raise _refused(name.start_mark, f"key '{key}' is there twice")
            seen.add(key)
        return super().construct_mapping(node, deep)


def _refused(mark: Any, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, problem, mark)


def _count(node: Any, known: dict[int, int]) -> int:
    """Values that a node stands for, each alias counted where it stands."""
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = _MOST + 1  # as long as it is not done: an alias to it from inside has no end
        parts = node.value
        if isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        total = 1
        for part in parts:
            total += _count(part, known)
            if total > _MOST:
                raise _refused(node.start_mark, f"it has more than {_MOST:,} values, aliases counted")
        known[id(node)] = total
    return known[id(node)]


class _Dumper(yaml.SafeDumper):
    """Small collections of plain values on one line, as a person would write them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> Any:
        return super().represent_mapping(tag, mapping, _fits_a_line(mapping))

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> Any:
        return super().represent_sequence(tag, sequence, _fits_a_line(sequence))


def _fits_a_line(value: Any, depth: int = 2) -> bool:
    """Whether a collection nests at most `depth` deep and is short enough to read in one line."""
    inner = list(value.values() if isinstance(value, dict) else value)
    flat = all(
        depth > 0 and _fits_a_line(item, depth - 1) if isinstance(item, dict | list) else True
        for item in inner
    )
    return flat and len(str(value)) < _WIDTH - 20


def _use_core_schema(kind: Any) -> None:
    kind.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rsplit(":", 1)[-1] not in _REPLACED]
        for first, resolvers in kind.yaml_implicit_resolvers.items()
    }
    # The first pattern that matches wins, and every integer would also do as a float.
    for tag, pattern, first in (
        ("bool", _BOOL, "tTfF"),
        ("int", _INT, "-+0123456789"),
        ("float", _FLOAT, "-+.0123456789"),
    ):
        kind.add_implicit_resolver(
            f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{pattern.pattern})\Z"), list(first)
        )


_use_core_schema(_Loader)
_use_core_schema(_Dumper)


def read_yaml(text: str) -> Any:
    """The value a YAML text stands for.

    Raises:
        ConfigError: it is no YAML, a mapping has a key twice, it is longer, deeper or larger than any
            recipe, or it has values that are not plain; says line and column.
    """
    if len(text) > _LONGEST:
        raise ConfigError(f"must be YAML of at most {_LONGEST:,} characters, got {len(text):,}.")
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"must be YAML; {place}{error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"must be YAML; {str(error).splitlines()[0]}.") from None
    except (ValueError, KeyError) as error:  # `!!int x`, a number of thousands of digits
        raise ConfigError(f"must be YAML; a value cannot be read: {str(error).splitlines()[0]}.") from None


def write_yaml(value: Any) -> str:
    """`value` as YAML that `read_yaml` reads back, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)
