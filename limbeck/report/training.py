"""How the run went: a line for each step, what was minimised, and what it ran on."""

from collections.abc import Mapping
from typing import Any

from limbeck.report.record import Record
from limbeck.report.words import count, duration, gigabytes, listed


def objective(record: Record, out: str) -> str:
    """What a training minimised, `0.5 forward_kl + 0.5 cross_entropy`; empty where it is not known."""
    fields = _train(record, out)
    terms = [_term(term) for term in fields.get("objective", [])]
    if any(_ROUTERS in (line.get("terms") or {}) for line in record.curves.get(out, [])):
        weight = fields.get("router_aux_loss_coef")
        own = f"{_ROUTERS} (weight of the student)"
        terms.append(own if weight is None else _term({"name": _ROUTERS, "weight": weight}))
    return " + ".join(terms)


def steps_table(record: Record) -> dict[str, Any]:
    """The columns and rows of the table of steps; a column that nothing fills is left out.

    Returns:
        columns (titles), rows [{kind, out, cells}], total (duration).
    """
    rows = [_row(record, step) for step in record.steps]
    titles = ["Time", "Planned", "Steps", "Tokens", "Learning rate", "Peak memory"]
    filled = [place for place in range(len(titles)) if any(row[2][place] for row in rows)]
    return {
        "columns": [titles[place] for place in filled],
        "rows": [
            {"kind": kind, "out": out, "cells": [cells[place] for place in filled]}
            for kind, out, cells in rows
        ],
        "total": duration(sum(step.get("seconds") or 0 for step in record.steps)) if rows else "",
    }


def examples(record: Record) -> list[dict[str, Any]]:
    """A training row as the student read it, and how many tokens are in the loss.

    Returns:
        [{outs (trainings that read it), row, tokens, in_loss, parts, all_tokens, all_in_loss}], numbers in
        words; trainings that read the same rows are one.
    """
    found: list[dict[str, Any]] = []
    for step in record.steps:
        example = step.get("example")
        same = next((one for one in found if one["given"] == example), None)
        if same is not None:
            same["outs"].append(str(step["out"]))
        elif example:
            numbers = ("tokens", "in_loss", "all_tokens", "all_in_loss")
            words = {name: f"{example[name]:,}" for name in numbers}
            shown = {"given": example, "row": example["row_id"], "parts": example["parts"]}
            found.append({"outs": [str(step["out"])], **shown, **words})
    return [{**one, "outs": listed([f"`{out}`" for out in one["outs"]])} for one in found]


def environment(versions: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Packages, machine, command, seeds and time of a run in words."""
    machine, packages = versions.get("machine") or {}, versions.get("packages") or {}
    known = {"limbeck": versions.get("limbeck"), "Python": versions.get("python")} | packages
    known |= {name: text for name, text in versions.items() if isinstance(text, str) and name not in _SAID}
    hardware = [
        machine.get("processor"),
        f"{machine['cores']} cores" if machine.get("cores") else None,
        f"{machine['threads']} threads" if machine.get("threads") else None,
        f"{gigabytes(machine['memory'])} of memory" if machine.get("memory") else None,
        *(machine.get("gpus") or []),
        f"CUDA {machine['cuda']}" if machine.get("cuda") else None,
        machine.get("platform"),
    ]
    seeds = versions.get("seeds") or {}
    drawn = listed(sorted({str(seed) for seed in seeds.values()}))
    command = [str(part) for part in versions.get("command") or []]
    found = [
        ("Packages", ", ".join(f"{name} {text}" for name, text in known.items() if text)),
        ("Machine", ", ".join(str(part) for part in hardware if part)),
        ("Command", " ".join(["limbeck" if place == 0 else part for place, part in enumerate(command)])),
        ("Seed" if len(set(seeds.values())) < 2 else "Seeds", drawn),
        ("Started", str(versions.get("started") or "").replace("T", " ").replace("+00:00", " UTC")),
    ]
    return [(title, text) for title, text in found if text]


def _row(record: Record, step: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    kind, out = str(step.get("kind", "")), str(step.get("out", ""))
    curve = record.curves.get(out, [])
    rates = [float(line["learning_rate"]) for line in curve if line.get("learning_rate")]
    return (
        kind,
        out,
        [
            duration(step["seconds"]) if step.get("seconds") is not None else "",
            duration(step["planned"]) if step.get("planned") else "",
            f"{curve[-1]['step']:,}" if curve and curve[-1].get("step") else "",
            count(step["tokens"]) if step.get("tokens") else "",
            f"{max(rates):g}" if rates else "",
            gigabytes(step["peak_memory"]) if step.get("peak_memory") else "",
        ],
    )


def _train(record: Record, out: str) -> Mapping[str, Any]:
    for step in record.recipe.get("steps", []):
        kind, fields = next(iter(step.items()))
        if kind == "train" and (fields or {}).get("out", "student") == out:
            return fields or {}
    return {}


def _term(term: Mapping[str, Any]) -> str:
    weight = term.get("weight", 1)
    if isinstance(weight, int | float):
        return str(term.get("name")) if weight == 1 else f"{weight:g} {term.get('name')}"
    return f"{term.get('name')} (changing weight)"


_ROUTERS = "router_balance"  # a term that no recipe lists
_SAID = frozenset({"limbeck", "python", "started"})
