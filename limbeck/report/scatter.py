"""Compared students as points, and validation values over steps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from limbeck.report.drawing import COLOURS, INK, MARKS, figure, labelled, legend_above
from limbeck.report.words import count

_MOST_NAMED = 6  # points that still have room for their names
_MOST_MARKED = 40  # evaluations of a curve whose marks can be told apart
_DODGE = 0.02  # of the x axis, between groups
_WIDE_RANGE = 8  # of sizes: above, a linear axis would crowd the small ones

Curve = Sequence[Sequence[float]]
"""[(step, value), ...] by step."""


def scatter_figure(
    points: Sequence[Mapping[str, Any]],
    *,
    xlabel: str,
    ylabel: str,
    xscale: float = 1.0,
    yscale: float = 1.0,
    is_size: bool = False,
    joins: bool = False,
) -> str:
    """Points with their intervals, one colour and mark for each group.

    Args:
        points: {evaluation, x, y, interval, group}; x all numbers or all words.
        xlabel: of the axis, with unit.
        ylabel: of the axis, with unit.
        xscale: factor of the shown numbers, 100 for per cent.
        yscale: the same for y, and its intervals.
        is_size: x counts parameters.
        joins: draw a line through the points of a group.
    """
    groups = list(dict.fromkeys(point["group"] for point in points))
    words = list(dict.fromkeys(str(point["x"]) for point in points if isinstance(point["x"], str)))
    # Joined groups share their x: side by side, their bars can be told apart.
    dodge = _DODGE * _range(points, words, xscale) if joins and len(groups) > 1 else 0.0
    with figure(f"scatter-{xlabel}-{ylabel}", entries=len(groups)) as (axes, done):
        for place, group in enumerate(groups):
            own = [point for point in points if point["group"] == group]
            own.sort(key=lambda point: words.index(point["x"]) if words else point["x"])
            mark = MARKS[(place + place // len(COLOURS)) % len(MARKS)]
            shift = (place - (len(groups) - 1) / 2) * dodge
            x = [words.index(point["x"]) if words else xscale * point["x"] for point in own]
            axes.errorbar(
                [value + shift for value in x],
                [yscale * point["y"] for point in own],
                yerr=_errors(own, yscale),
                fmt=mark + ("-" if joins and not words else ""),
                color=COLOURS[(place + 1) % len(COLOURS)],
                capsize=3,
                linewidth=1.2,
                label=_level(group),
            )
        if not joins:
            _name_points(axes, points, xscale, yscale)
        axes.margins(x=0.12, y=0.12)
        if words:
            axes.set_xticks(range(len(words)), words)
        elif is_size:
            _size_axis(axes, [point["x"] for point in points])
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        if len(groups) > 1:
            legend_above(axes, len(groups))
    return labelled(done, f"{ylabel} over {xlabel}")


def curve_figure(curves: Mapping[str, Curve], name: str, *, ylabel: str) -> str:
    """Watched values of one train step over its optimizer steps."""
    entries = len(curves) if len(curves) > 1 else 0
    with figure(f"curve-{name}-{ylabel}", entries=entries) as (axes, done):
        for place, (label, curve) in enumerate(curves.items()):
            steps, values = zip(*curve, strict=True)
            axes.plot(
                steps,
                values,
                marker=MARKS[place % len(MARKS)] if len(steps) <= _MOST_MARKED else None,
                markersize=3.5,
                linewidth=1.5,
                color=COLOURS[(place + 1) % len(COLOURS)],
                label=label.replace("_", " "),
            )
        axes.set_xlabel("optimizer step")
        axes.set_ylabel(ylabel)
        if entries:
            legend_above(axes, entries)
    return labelled(done, f"{ylabel} of {name} by optimizer step")


def hacking_figure(proxy: Curve, golden: Curve, judged: Mapping[str, Any], name: str) -> str:
    """Proxy and golden on logarithmic axes, with the power law of the early proxy and where it is left."""
    with figure(f"hacking-{name}") as (axes, done):
        for place, (label, curve) in enumerate((("proxy", proxy), ("golden", golden))):
            whole = [(step, value) for step, value in curve if step >= 1 and value > 0]
            if whole:
                steps, values = zip(*whole, strict=True)
                axes.plot(
                    steps,
                    values,
                    marker=MARKS[1 - place] if len(steps) <= _MOST_MARKED else None,
                    markersize=3.5,
                    linewidth=1.2,
                    color=COLOURS[place + 1],
                    label=label,
                )
        law = judged.get("law")
        if law:
            last = max(step for step, _ in proxy)
            along = np.geomspace(max(law["window"][0], 1), last, 50)
            axes.plot(
                along,
                np.exp(law["a"] - law["k"] * np.log(along)),
                linestyle="--",
                linewidth=1.5,
                color=INK,
                alpha=0.7,
                label=f"$c\\,t^{{{-law['k']:.2f}}}$",
            )
            axes.axvspan(*law["window"], color=INK, alpha=0.07, linewidth=0)
        if judged.get("departed_at") is not None:
            axes.axvline(judged["departed_at"], color=INK, linestyle=":", linewidth=1.2)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("distance, nats")
        legend_above(axes, 3)
    return labelled(done, f"Proxy and golden distance of {name} by optimizer step")


def _errors(points: Sequence[Mapping[str, Any]], scale: float) -> list[list[float]] | None:
    if all(point["interval"] is None for point in points):
        return None
    bounds = [point["interval"] or [point["y"]] * 2 for point in points]
    return [
        [max(0.0, scale * (point["y"] - low)) for point, (low, _) in zip(points, bounds, strict=True)],
        [max(0.0, scale * (high - point["y"])) for point, (_, high) in zip(points, bounds, strict=True)],
    ]


def _range(points: Sequence[Mapping[str, Any]], words: list[str], scale: float) -> float:
    if words:
        return float(max(len(words) - 1, 1))
    values = [scale * point["x"] for point in points]
    return max(values) - min(values)


def _name_points(axes: Axes, points: Sequence[Mapping[str, Any]], xscale: float, yscale: float) -> None:
    if len(points) > _MOST_NAMED or any(point["group"] is not None for point in points):
        return
    for point in points:
        axes.annotate(
            point["evaluation"],
            (xscale * point["x"], yscale * point["y"]),
            xytext=(6, 5),
            textcoords="offset points",
            fontsize=8.5,
            color=INK,
        )


def _size_axis(axes: Axes, sizes: Sequence[float]) -> None:
    if max(sizes) > _WIDE_RANGE * min(sizes):
        axes.set_xscale("log")
        axes.set_xticks(sorted(set(sizes)))
        axes.minorticks_off()
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: count(value)))


def _level(group: Any) -> str:
    return f"{group:g}" if isinstance(group, int | float) else str(group)
