"""YAML as recipes use it: the core schema of YAML 1.2, and no key twice.

PyYAML follows YAML 1.1, where the key `on` is the boolean true and `1e-4` is text.
"""

import re
from typing import Any

import yaml

from limbeck.core.errors import ConfigError

_WIDTH = 110
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_INT = re.compile(r"[-+]?[0-9]+")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_REPLACED = ("bool", "float", "int", "timestamp")


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, key in enumerate(keys):
            if key in keys[:place]:
                raise yaml.MarkedYAMLError(
                    None, None, f"key '{key}' is there twice", node.value[place][0].start_mark
                )
        return super().construct_mapping(node, deep)


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
        ConfigError: it is no YAML, or a mapping has a key twice; says line and column.
    """
    try:
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"must be YAML; {place}{error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"must be YAML; {error}") from None


def write_yaml(value: Any) -> str:
    """`value` as YAML that `read_yaml` reads back, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=_WIDTH, allow_unicode=True)
