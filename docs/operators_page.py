"""The page of operators, from their signatures and docstrings; written by `docs/generate.py`."""

import inspect
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from limbeck.core.catalogue import REQUIRED, Entry, catalogue
from limbeck.core.prompting import Fills, load_prompt, shipped_prompts
from limbeck.core.prompting.parsers import PARSERS

HEAD = Path(__file__).parent / "heads" / "operators.md"
"""What stands above the lists, written by hand; its last lines begin the table of parsers."""


def operators_page() -> str:
    """The whole page."""
    parsers = [
        f"| `{name}` | {', '.join(finds) or 'its `fields`'} | {_first_line(function)} |\n"
        for name, (function, finds) in PARSERS.items()
    ]
    prompts = [f"| `{name}` | {load_prompt(name).file.about} |\n" for name in shipped_prompts()]
    parts = [
        HEAD.read_text(encoding="utf-8") + "".join(parsers).rstrip(),
        "| shipped prompt | |\n|---|---|\n" + "".join(prompts).rstrip(),
        "## The operators",
        *(_operator(entry) for entry in catalogue("operators").values()),
    ]
    return "\n\n".join(parts) + "\n"


def _operator(entry: Entry) -> str:
    fills = _prompts(entry)
    given = [
        f"- `{name}`: {', '.join(f'`{one}`' for one in _defaults(entry, name))}"
        + (f"; values: {', '.join(f'`{one}`' for one in gives)}" if gives else "")
        for name, gives in fills.items()
    ]
    reads = "all rows together" if entry.positional[0] == "rows" else "one row"
    example = {"name": entry.name, **{name: _EXAMPLES[name] for name in _needed(entry)}}
    call = yaml.safe_dump({"operator": example}, sort_keys=False, default_flow_style=None).strip()
    return "\n\n".join(
        [
            f"### {entry.name}",
            f"Reads {reads}.",
            f"```yaml\n{call}\n```",
            *(["Prompts:\n\n" + "\n".join(given)] if given else []),
            f"```\n{entry.name}({', '.join(_signature(entry))})\n\n{entry.doc}\n```",
        ]
    )


_EXAMPLES: dict[str, Any] = {
    "functions": ["my_tools:search"],
    "tokenizer": "TEACHER_DIR",
    "corpus": "texts.jsonl",
}


def _needed(entry: Entry) -> list[str]:
    required = [name for name, default in entry.keywords.items() if default == REQUIRED]
    return required + (["tokenizer"] if entry.name == "magpie" else [])


def _signature(entry: Entry) -> list[str]:
    return [*entry.positional, "*", *entry.keywords]


def _prompts(entry: Entry) -> dict[str, tuple[str, ...]]:
    hints = get_type_hints(entry.load(), include_extras=True)
    return {
        name: one.gives
        for name, hint in hints.items()
        for one in getattr(hint, "__metadata__", ())
        if isinstance(one, Fills)
    }


def _defaults(entry: Entry, name: str) -> list[str]:
    default = entry.keywords[name]
    return [default] if isinstance(default, str) else list(default)


def _first_line(function: Any) -> str:
    return (inspect.getdoc(function) or "").split("\n")[0]
