"""Tables of results."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from limbeck.cli.amounts import count
from limbeck.core.measures import MEASURES, Measure

_ROLES = ("teacher", "baseline", "student")


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 100 else f"{value:,.0f}"


_ARROWS = {"higher": " ↑", "lower": " ↓"}


def result_table(evaluation: Mapping[str, Any]) -> RenderableType:
    """Teacher, baseline and student side by side, with n and 95 % intervals; members are in the report."""
    metrics = evaluation["metrics"]
    shown = [one for one in evaluation["subjects"] if one["role"] in _ROLES]
    subjects = sorted(shown, key=lambda one: _ROLES.index(one["role"]))
    names = [one["name"] for one in subjects]
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(f"{evaluation['data']['rows']:,} held-out rows")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_row("parameters", *(f"{one['parameters']:,}" for one in subjects), "")
    for measure in (one for one in MEASURES.values() if one.heading):
        values = [measure.of(evaluation, name) for name in names]
        known = [value for value in values if value is not None]
        if known:
            title = _title(measure, metrics) + _ARROWS.get(measure.better, "")
            table.add_row(title, *map(_cell, values), f"{known[0]['n']:,}")
    lines = [_comparison(item) for metric in metrics.values() for item in metric.get("comparisons", [])]
    note = "In brackets: 95 % intervals over rows (tokens/s: slowest and fastest run)."
    return Group(Text(), table, Text(), *(Text(line) for line in lines if line), Text(note, style="dim"))


def comparison_table(comparison: Mapping[str, Any]) -> RenderableType:
    """All evaluated models of a run, a line each, with what was varied and the measures they have."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column(f"{comparison['data']['rows']:,} held-out rows")
    factors, names = comparison["factors"], comparison["measures"]
    for title in (*factors, "parameters", *names):
        table.add_column(title.replace("_", " "), justify="right")
    for model in comparison["models"]:
        name = (
            model["evaluation"] if model["role"] == "student" else f"{model['name']} of {model['evaluation']}"
        )
        levels = [model["by"].get(factor, "") for factor in factors]
        cells = [f"{level:g}" if isinstance(level, int | float) else level for level in levels]
        values = [model["values"].get(measure, {}).get("value") for measure in names]
        cells += [count(model["parameters"]), *("" if value is None else _number(value) for value in values)]
        table.add_row(name, *cells)
    return Group(Text(), table)


def _title(measure: Measure, metrics: Mapping[str, Any]) -> str:
    named = metrics.get("generation", {}).get("task", {}).get("name", "task")
    return str(named).replace("_", " ") if measure is MEASURES["task"] else measure.heading


def _cell(value: Mapping[str, Any] | None) -> str:
    if value is None:
        return ""
    low, high = value.get("interval") or (value.get("low"), value.get("high"))
    written = _number(value["value"])
    if low is None or high is None:
        return written
    return f"{written}\n[{_number(low)}, {_number(high)}]"


def _comparison(item: Mapping[str, Any]) -> str:
    change = item["difference"]
    if change.get("value") is None:
        return ""
    bounds = change.get("interval")
    said = f" [{bounds[0]:+.4f}, {bounds[1]:+.4f}]" if bounds else ""
    measure = item["measure"].replace("_", " ")
    pair = f"{item['student']} against {item['baseline']}"
    return f"{pair}, {measure}: {change['value']:+.4f}{said}, {item['verdict']}"
