"""Several evaluations side by side: a table with a line a model, figures, and what the tests say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from limbeck.core.measures import MEASURES, SIZES
from limbeck.report.scatter import scatter_figure
from limbeck.report.words import between, count, number, percent

_LEADING = ("task", "accuracy", "bits_per_byte", "answer_agreement", "top1_agreement")
_LEVEL = 0.05


@dataclass(frozen=True)
class Place:
    """One cell of the table."""

    text: str = ""
    interval: str = ""
    best: bool = False


@dataclass(frozen=True)
class ModelLine:
    """One model: its name, what it is, and its cells in the order of the columns."""

    name: str
    role: str
    cells: list[Place]


def comparison_section(comparison: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the page shows of a comparison; None without one.

    Returns:
        lead (sentence), rows, evaluations (numbers), columns (titles), lines, figures [{svg,
        caption}], asked (number of tests), findings (sentences), paired [{title, against, rows}].
    """
    if not comparison.get("models"):
        return None
    models, measures = comparison["models"], comparison["measures"]
    students = [model for model in models if model["role"] == "student"]
    # What is the same for all students is no column.
    factors = [name for name in comparison["factors"] if len({s["by"].get(name) for s in students}) > 1]
    sizes = [name for name in SIZES if name == "parameters" or len({s[name] for s in students}) > 1]
    return {
        "lead": lead(comparison),
        "rows": comparison["data"]["rows"],
        "evaluations": len({model["evaluation"] for model in models}),
        "columns": [_title(name) for name in (*measures, *sizes, *factors)],
        "lines": _lines(models, factors, sizes, measures),
        "figures": comparison_figures(comparison),
        "asked": sum(len(entry.get("pairs", [entry])) for entry in comparison["tests"]),
        "findings": [_sentence(entry) for entry in comparison["tests"] if entry["test"] != "paired_t"],
        "paired": [_paired(entry) for entry in comparison["tests"] if entry["test"] == "paired_t"],
    }


def comparison_figures(comparison: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The figures that have at least two points: {name, svg, caption} each."""
    return [_figure(entry) for entry in comparison["figures"] if len(entry["points"]) > 1]


def lead(comparison: Mapping[str, Any]) -> str:
    """Which student is ahead, by the weightiest measures; point values, as the sentence says."""
    students = [model for model in comparison["models"] if model["role"] == "student"]
    parts = []
    for name in [name for name in _LEADING if name in comparison["measures"]]:
        measure = MEASURES[name]
        known = [model for model in students if name in model["values"]]
        if len(known) < 2:
            continue
        best = _best(known, name)
        if best is None or (measure.of_teacher and _teachers(comparison["models"]) > 1):
            continue
        tied = [model for model in known if model["values"][name]["value"] == best]
        if len(tied) > 1:
            continue
        estimate = tied[0]["values"][name]
        bounds = between(estimate, lambda value, measure=name: show(measure, value))
        superlative = "lowest" if measure.better == "lower" else "highest"
        said = f"{show(name, best)} ({bounds})" if bounds else show(name, best)
        parts.append(f"{superlative} {measure.label}: `{tied[0]['evaluation']}`, {said}")
    rows = f"{comparison['data']['rows']} held-out rows"
    opening = f"{len(students)} students were compared on the same {rows}"
    return f"{opening}; {'; '.join(parts[:2])}." if parts else f"{opening}."


def show(measure: str, value: float) -> str:
    """A value of a measure as people read it."""
    form = MEASURES[measure].form
    if form == "score":
        return f"{value:.1f}"
    return percent(value) if form == "share" else number(value)


def _lines(
    models: Sequence[Mapping[str, Any]], factors: list[str], sizes: list[str], measures: list[str]
) -> list[ModelLine]:
    students = [model for model in models if model["role"] == "student"]
    several = _teachers(models) > 1
    best = {
        name: None if several and MEASURES[name].of_teacher else _best(students, name) for name in measures
    }
    roles = [model["role"] for model in models]
    lines = []
    for model in models:
        is_student = model["role"] == "student"
        alone = roles.count(model["role"]) == 1
        name = model["evaluation"] if is_student else model["name"]
        role = "" if is_student or alone else f"of {model['evaluation']}"
        cells = [_cell(model, measure, best[measure] if is_student else None) for measure in measures]
        cells += [Place(count(model[size]) if model.get(size) else "") for size in sizes]
        cells += [Place(level(model["by"].get(factor))) for factor in factors]
        lines.append(ModelLine(name, role, cells))
    return lines


def _cell(model: Mapping[str, Any], measure: str, best: float | None) -> Place:
    estimate = model["values"].get(measure)
    if estimate is None:
        return Place()
    value = estimate["value"]
    return Place(show(measure, value), between(estimate, lambda bound: show(measure, bound)), value == best)


def _teachers(models: Sequence[Mapping[str, Any]]) -> int:
    return sum(model["role"] == "teacher" for model in models)


def _best(students: Sequence[Mapping[str, Any]], measure: str) -> float | None:
    values = [model["values"][measure]["value"] for model in students if measure in model["values"]]
    better = MEASURES[measure].better
    if not better or len(set(values)) < 2:
        return None
    return max(values) if better == "higher" else min(values)


def _figure(entry: Mapping[str, Any]) -> dict[str, Any]:
    x, y, group = entry["x"], entry["y"], entry["group"]
    svg = scatter_figure(
        entry["points"],
        xlabel=_axis(x),
        ylabel=_axis(y),
        xscale=_scale(x),
        yscale=_scale(y),
        is_size=x in SIZES,
        joins=x not in MEASURES,
    )
    better = MEASURES[y].better if y in MEASURES else ""
    by = f", by {_plain(group)}" if group else ""
    hint = f" {better.capitalize()} is better." if better else ""
    has_bars = any(point["interval"] for point in entry["points"])
    bars = " Bars: 95 %, over rows." if has_bars else ""
    return {
        "name": f"{y}-over-{x}",
        "svg": Markup(svg),
        "caption": f"{_upper(_name(y))} over {_name(x)}{by}.{hint}{bars}",
    }


def _sentence(entry: Mapping[str, Any]) -> str:
    what, n = _upper(_name(entry["y"])), f"{entry['n']} students"
    if entry["test"] == "spearman":
        named = f"{what} and {_name(entry['x'])}"
        if entry["statistic"] is None:
            return f"{named}: no rank correlation can be computed from {n}."
        return f"{named}: Spearman {_signed(entry['statistic'])}, {_p(entry)}, {n}."
    means = ", ".join(f"{name} {show_any(entry['y'], value)}" for name, value in entry["means"].items())
    named = f"{what} over {_plain(entry['factor'])}"
    if entry["statistic"] is None:
        return f"{named}: no analysis of variance can be computed from {n} (means: {means})."
    told = "its levels differ" if entry["p_value"] < _LEVEL else "its levels cannot be told apart"
    f = f"F = {entry['statistic']:.2f}, {_p(entry)}, {n}"
    return f"{named}: {told} (one-way analysis of variance, {f}; means: {means})."


def _paired(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A table with a line an evaluation: mean difference to `against` over rows, interval, p, n."""
    rows = []
    for pair in entry["pairs"]:
        bounds = pair["interval"]
        rows.append(
            {
                "name": pair["evaluation"],
                "difference": _signed(pair["difference"]),
                "interval": "" if bounds is None else " to ".join(_signed(bound) for bound in bounds),
                "p": _p(pair).removeprefix("p ").removeprefix("= ") if bounds is not None else "–",
                "n": pair["n"],
                "verdict": pair["verdict"],
            }
        )
    return {"title": _name(entry["y"]), "against": entry["against"], "rows": rows}


def show_any(name: str, value: float) -> str:
    """A value of a measure, a size or anything that was varied."""
    return show(name, value) if name in MEASURES else count(value) if name in SIZES else f"{value:g}"


def level(value: Any) -> str:
    """What was varied, as it is shown: numbers short, words as they are, nothing as nothing."""
    return "" if value is None else f"{value:g}" if isinstance(value, int | float) else str(value)


def _p(entry: Mapping[str, Any]) -> str:
    smallest = 0.001
    return f"p < {smallest}" if entry["p_value"] < smallest else f"p = {entry['p_value']:.3f}"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{number(abs(value))}"


def _title(name: str) -> str:
    better = MEASURES[name].better if name in MEASURES else ""
    return _upper(_name(name)) + {"higher": " ↑", "lower": " ↓"}.get(better, "")


def _axis(name: str) -> str:
    return _name(name) + (", %" if name in MEASURES and MEASURES[name].form == "share" else "")


def _scale(name: str) -> float:
    return 100.0 if name in MEASURES and MEASURES[name].form == "share" else 1.0


def _name(name: str) -> str:
    return MEASURES[name].label if name in MEASURES else SIZES.get(name) or _plain(name)


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
