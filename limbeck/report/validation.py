"""What was measured during training: curves over steps, and the verdict on proxy and golden."""

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from limbeck.report.scatter import curve_figure, hacking_figure
from limbeck.report.words import number

_PAIR = ("proxy", "golden")
_FAMILIES = ("perplexity_", "gap_")  # of domains: one figure for all


def validation_figures(measured: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Figures [{svg, caption}] of every train step that validated something.

    Proxy and golden share a figure, and so do the perplexities of domains; all others have scales of
    their own.
    """
    figures = []
    for name, entry in measured.items():
        curves, judged = entry["curves"], entry.get("hacking")
        if judged is not None:
            svg = hacking_figure(curves["proxy"], curves["golden"], judged, name)
            figures.append({"svg": Markup(svg), "caption": f"{name}: {verdict(judged)}"})
        rest = {label: curve for label, curve in curves.items() if judged is None or label not in _PAIR}
        for prefix in _FAMILIES:
            family = {label: rest.pop(label) for label in list(rest) if label.startswith(prefix)}
            if family:
                short = {label.removeprefix(prefix): curve for label, curve in family.items()}
                svg = curve_figure(short, name, ylabel=prefix.strip("_"))
                said = f"{name}: {prefix.strip('_')} by domain over optimizer steps."
                figures.append({"svg": Markup(svg), "caption": said})
        for label, curve in rest.items():
            svg = curve_figure({label: curve}, name, ylabel=label.replace("_", " "))
            figures.append({"svg": Markup(svg), "caption": _caption(name, label, curve)})
    return figures


def validation_verdicts(measured: Mapping[str, Any]) -> list[dict[str, str]]:
    """A sentence and a verdict (`better`, `worse`, `undecided`) of every train step with proxy and golden."""
    found = [(name, entry["hacking"]["verdict"]) for name, entry in measured.items() if "hacking" in entry]
    kinds = {"hacking": "worse", "diverging": "worse", "sound": "better"}
    return [
        {"text": f"{name}: {_VERDICTS[said]}", "verdict": kinds.get(said, "undecided")}
        for name, said in found
    ]


def verdict(judged: Mapping[str, Any]) -> str:
    """The detector's verdict on proxy (distance to the teacher) and golden (to the oracle) in words."""
    law, left, turned = judged["law"], judged["departed_at"], judged["turn"]
    parts = []
    if law is not None:
        first, last = (f"{step:g}" for step in law["window"])
        parts.append(
            f"dashed, the power law of the proxy between steps {first} and {last} (shaded): "
            f"distance falls as step to the power {-law['k']:.2f}.".replace("-", "−")
        )
        parts.append(
            f"The proxy left it upwards by step {left:g} (dotted)."
            if left is not None
            else "The proxy has not left it upwards."
        )
    if turned is not None and turned["is_u_shaped"]:
        rise = f"{100 * math.expm1(turned['rise']):.0f} %"
        parts.append(f"Golden was lowest near step {turned['step']:g} and rose by {rise} since.")
    elif turned is not None:
        parts.append("Golden shows no turn beyond its noise.")
    parts.append(_VERDICTS[judged["verdict"]])
    return " ".join(parts)


def _caption(name: str, label: str, curve: list[list[float]]) -> str:
    (first, start), (last, end) = curve[0], curve[-1]
    lowest = min(curve, key=lambda point: point[1])
    text = (
        f"{name}: {label.replace('_', ' ')} {number(start)} at step {first:g}, {number(end)} at step {last:g}"
    )
    return text + (f"; lowest {number(lowest[1])} at step {lowest[0]:g}." if lowest[0] != last else ".")


_VERDICTS = {
    "hacking": "The student leaves the oracle while it stays with its teacher: teacher hacking.",
    "diverging": "The student leaves both teacher and oracle: not teacher hacking, the training goes wrong.",
    "departed": "A warning, not a proof: the proxy slows down, the oracle does not yet object.",
    "sound": "No sign of teacher hacking.",
    "too_few": "Too few evaluations for a verdict; validate more often.",
}
