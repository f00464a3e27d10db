"""Writes `docs/methods/*.md`, one page a recipe, from its docstrings, its data and its last measured table;
`docs/steps.md` from the kinds of step; `docs/operators.md` from operators and prompts;
`docs/domains/*.md` from the files of domains; and the table of recipes in the README.

    python docs/generate.py            write the pages
    python docs/generate.py --check    fail if a page is out of date

Measured tables are written by hand into `docs/measured/<recipe>.md`, with their conditions.
"""

import argparse
import inspect
import sys
from importlib import import_module
from pathlib import Path

from domains_page import domain_page
from operators_page import operators_page
from pydantic.fields import FieldInfo

from limbeck.cli.families import FAMILIES, MODELS
from limbeck.cli.inputs import inputs_of
from limbeck.core.catalogue import REQUIRED, Entry, catalogue
from limbeck.core.config import Config
from limbeck.core.docstrings import without_arguments
from limbeck.recipes.domains import shipped_domains
from limbeck.recipes.steps import STEPS

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
EXAMPLES = {
    "teacher": "TEACHER_DIR",
    "student": "STUDENT_DIR",
    "data": "rows.jsonl",
    "layers": "3",
    "critic": "CRITIC_DIR",
    "domain": "science",
    "functions": ["my_tools:search"],
    "teachers": {"first": "TEACHER_DIR", "second": "OTHER_DIR"},
}
WRITTEN = {
    "functions": "'[my_tools:search]'",
    "teachers": "'{first: TEACHER_DIR, second: OTHER_DIR}'",
}
"""Examples that a shell reads otherwise than Python."""
NOT_MEASURED = "Not measured yet.\n"


def page(entry: Entry) -> str:
    """The page of one recipe."""
    module = import_module(entry.module)
    recipe = entry.load()(**{name: EXAMPLES[name] for name in required(entry)})
    objectives = dict.fromkeys(term.name for step in recipe.steps for term in getattr(step, "objective", ()))
    measured = DOCS / "measured" / f"{entry.name}.md"
    command = " ".join(
        [
            "limbeck run",
            entry.name,
            *(f"{name}={WRITTEN.get(name, EXAMPLES[name])}" for name in required(entry)),
        ]
    )
    parts = [
        f"# {entry.name}",
        inspect.cleandoc(module.__doc__ or ""),
        f"```console\n$ {command}\n```",
        "## What it does",
        without_arguments(entry.doc),
        inputs(entry),
        "## Objectives",
        *(objective(catalogue("objectives")[name]) for name in objectives),
        "## Measured",
        measured.read_text(encoding="utf-8").strip() if measured.exists() else NOT_MEASURED.strip(),
        "## As a file",
        f"`limbeck show {command.removeprefix('limbeck run ')} > mine.yaml`, then `limbeck run mine.yaml`:",
        f"```yaml\n{recipe.to_yaml()}```",
    ]
    return "\n\n".join(parts) + "\n"


def steps_page() -> str:
    """The page of all kinds of step, from their classes."""
    parts = [
        "# Kinds of step",
        "A recipe is a list of steps; each reads what earlier ones made. Written by `docs/generate.py` from "
        "`limbeck/recipes/steps/`.",
    ]
    for kind, step in STEPS.items():
        rows = [
            f"| `{name}` | {_default(field)} | {(field.description or '').replace('|', '&#124;')} |"
            for name, field in step.model_fields.items()
        ]
        table = "\n".join(["| field | default | what it is |", "|---|---|---|", *rows])
        parts += [f"## {kind}", inspect.cleandoc(step.__doc__ or ""), f"Makes: {step.makes}.", table]
    return "\n\n".join(parts) + "\n"


def readme() -> str:
    """The README with the recipes in the order of their families."""
    head = "| recipe | what it does | models |\n|---|---|---|\n"
    before, after = README.read_text(encoding="utf-8").split(head)
    rows = [
        f"| [{name}](docs/methods/{name}.md) | {text} | {MODELS.get(family, 'causal')} |\n"
        for family, recipes in FAMILIES.items()
        for name, text in recipes.items()
        if name != "quickstart"
    ]
    return "".join([before, head, *rows, after[after.index("\n\n") + 1 :]])


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return REQUIRED
    value = field.get_default(call_default_factory=True)
    plain = value.model_dump(mode="json", exclude_none=True) if isinstance(value, Config) else value
    return f"`{plain}`".replace("|", "&#124;")


def required(entry: Entry) -> list[str]:
    """Inputs without a default."""
    return [name for name, default in entry.keywords.items() if default == REQUIRED]


def inputs(entry: Entry) -> str:
    """Inputs as a table: name, default, what may be given, what it means."""
    rows = [
        f"| `{one.name}` | {one.default if one.default == REQUIRED else f'`{one.default}`'} "
        f"| {one.kind} | {one.meaning.replace('|', '&#124;')} |"
        for one in inputs_of(entry)
    ]
    return "\n".join(
        ["## Inputs", "", "| input | default | may be | what it is |", "|---|---|---|---|", *rows]
    )


def objective(entry: Entry) -> str:
    """The docstring of an objective, as it stands in the code."""
    signature = ", ".join([*entry.positional, "*", *entry.keywords])
    return f"### {entry.name}\n\n```\n{entry.name}({signature})\n\n{entry.doc}\n```"


def main() -> None:
    """Write or check all pages."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    folder = DOCS / "methods"
    folder.mkdir(exist_ok=True)
    pages = {folder / f"{entry.name}.md": page(entry) for entry in catalogue("recipes").values()}
    pages |= {DOCS / "steps.md": steps_page(), DOCS / "operators.md": operators_page(), README: readme()}
    pages |= {DOCS / "domains" / f"{name}.md": domain_page(name) for name in shipped_domains()}
    stale = []
    for path, text in pages.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.stem)
            if not check:
                path.write_text(text, encoding="utf-8")
                print(f"wrote {path.relative_to(DOCS.parent)}")
    if check and stale:
        sys.exit(f"out of date: {', '.join(stale)}. Run `python docs/generate.py`.")


if __name__ == "__main__":
    main()
