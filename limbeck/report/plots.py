"""The page's figures as inline SVG: text in the page's own colour, sized to be read on a phone."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Drawn 4.4 inches wide, a figure is shown at about its own size on a phone.
_SIZE = (4.4, 2.9)
_INK = "#010203"  # stands for the page's text colour until the SVG is written
_COLOURS = ("#8a63d2", "#1f78d1", "#d9730d", "#1a9e77")  # told apart on white, on black and by most eyes
_MARKS = ("s", "o", "^", "D")
_MOST_POINTS = 200
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.12,
}


def loss_figure(lines: Sequence[Mapping[str, Any]], name: str) -> str:
    """Loss by optimizer step of one train step: every logged value faint, their running mean strong."""
    steps = [line["step"] for line in lines if line.get("loss") is not None]
    losses = [float(line["loss"]) for line in lines if line.get("loss") is not None]
    every = max(1, len(steps) // _MOST_POINTS)
    width = max(1, len(steps) // 20)
    smooth = [sum(losses[max(0, at - width + 1) : at + 1]) / min(at + 1, width) for at in range(len(losses))]
    with _figure(f"loss-{name}") as (axes, done):
        axes.plot(steps[::every], losses[::every], color=_COLOURS[1], alpha=0.3, linewidth=1)
        axes.plot(steps[::every], smooth[::every], color=_COLOURS[1], linewidth=2)
        axes.set_xlabel("optimizer step")
        axes.set_ylabel("loss")
    return _labelled(done, f"Loss of {name} by optimizer step")


def slice_figure(
    slices: Mapping[str, Sequence[Mapping[str, Any]]], measure: str, *, xlabel: str, ylabel: str, scale: float
) -> str:
    """A measure by slice, one series a student, with 95 % intervals."""
    with _figure(f"{measure}-{xlabel}") as (axes, done):
        labels = [entry["slice"] for entry in next(iter(slices.values()))]
        for place, (name, entries) in enumerate(slices.items()):
            shift = 0.14 * (place - (len(slices) - 1) / 2)
            values = [scale * entry[measure]["value"] for entry in entries]
            bounds = [entry[measure]["interval"] or [entry[measure]["value"]] * 2 for entry in entries]
            errors = [
                [max(0.0, value - scale * low) for value, (low, _) in zip(values, bounds, strict=True)],
                [max(0.0, scale * high - value) for value, (_, high) in zip(values, bounds, strict=True)],
            ]
            axes.errorbar(
                values,
                [at + shift for at in range(len(labels))],
                xerr=errors,
                fmt=_MARKS[(place + 1) % len(_MARKS)],
                color=_COLOURS[(place + 1) % len(_COLOURS)],
                capsize=3,
                label=name,
            )
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.margins(y=0.15)
        axes.set_ylabel(xlabel)
        axes.set_xlabel(ylabel)
        if len(slices) > 1:
            _legend_above(axes, len(slices))
    return _labelled(done, f"{ylabel} by {xlabel}")


def calibration_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Share right by confidence, one line a subject, against the diagonal of perfect calibration."""
    with _figure("calibration") as (axes, done):
        axes.plot([0, 1], [0, 1], color=_INK, linewidth=1, linestyle=":")
        for place, (name, curve) in enumerate(curves.items()):
            axes.plot(
                [entry["confidence"] for entry in curve],
                [entry["accuracy"] for entry in curve],
                marker=_MARKS[place % len(_MARKS)],
                markersize=4,
                color=_COLOURS[place % len(_COLOURS)],
                label=name,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("confidence")
        axes.set_ylabel("share right")
        _legend_above(axes, len(curves))
    return _labelled(done, "Share right by confidence")


def _legend_above(axes: Axes, entries: int) -> None:
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=min(entries, 3),
        columnspacing=1,
        handletextpad=0.4,
    )


@contextmanager
def _figure(salt: str) -> Iterator[tuple[Axes, list[str]]]:
    """Axes to draw on; the SVG is appended to the list when they are left."""
    done: list[str] = []
    # The salt keeps the ids of several drawings in one page apart, and equal from build to build.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": salt}):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.subplots()
        yield axes, done
        drawn = io.StringIO()
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
        done.append(drawn.getvalue())


def _labelled(done: list[str], label: str) -> str:
    """The bare <svg> element: no metadata, no namespaces, no fixed size; described for screen readers."""
    svg = done[0][done[0].index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?)\s(width|height)="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?)\s(width|height)="[^"]*"', r"\1", svg)
    described = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace(_INK, "currentColor").replace("<svg", f'<svg role="img" aria-label="{described}"', 1)
