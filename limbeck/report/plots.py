"""Figures of one evaluation and of the losses."""

from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.report.drawing import COLOURS, INK, MARKS, figure, labelled, legend_above

_MOST_POINTS = 200


def loss_figure(lines: Sequence[Mapping[str, Any]], name: str, minimised: str) -> str:
    """Loss by optimizer step of one train step: logged values faint, their running mean strong."""
    steps = [line["step"] for line in lines if line.get("loss") is not None]
    losses = [float(line["loss"]) for line in lines if line.get("loss") is not None]
    every = max(1, len(steps) // _MOST_POINTS)
    width = max(1, len(steps) // 20)
    smooth = [sum(losses[max(0, at - width + 1) : at + 1]) / min(at + 1, width) for at in range(len(losses))]
    with figure(f"loss-{name}") as (axes, done):
        axes.plot(steps[::every], losses[::every], color=COLOURS[1], alpha=0.3, linewidth=1)
        axes.plot(steps[::every], smooth[::every], color=COLOURS[1], linewidth=2)
        axes.set_xlabel("optimizer step")
        axes.set_ylabel(minimised or "loss")
    return labelled(
        done,
        f"Loss of {name} ({minimised}) by optimizer step"
        if minimised
        else f"Loss of {name} by optimizer step",
    )


def slice_figure(
    slices: Mapping[str, Sequence[Mapping[str, Any]]], measure: str, *, xlabel: str, ylabel: str, scale: float
) -> str:
    """A measure by slice, one series a student, with 95 % intervals."""
    with figure(f"{measure}-{xlabel}") as (axes, done):
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
                fmt=MARKS[(place + 1) % len(MARKS)],
                color=COLOURS[(place + 1) % len(COLOURS)],
                capsize=3,
                label=name,
            )
        axes.set_yticks(range(len(labels)), labels)
        axes.invert_yaxis()
        axes.margins(y=0.15)
        axes.set_ylabel(xlabel)
        axes.set_xlabel(ylabel)
        if len(slices) > 1:
            legend_above(axes, len(slices))
    return labelled(done, f"{ylabel} by {xlabel}")


def calibration_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Accuracy by confidence, one line a subject, against the diagonal of perfect calibration."""
    with figure("calibration") as (axes, done):
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=":")
        for place, (name, curve) in enumerate(curves.items()):
            axes.plot(
                [entry["confidence"] for entry in curve],
                [entry["accuracy"] for entry in curve],
                marker=MARKS[place % len(MARKS)],
                markersize=4,
                color=COLOURS[place % len(COLOURS)],
                label=name,
            )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("confidence")
        axes.set_ylabel("accuracy")
        legend_above(axes, len(curves))
    return labelled(done, "Accuracy by confidence")
