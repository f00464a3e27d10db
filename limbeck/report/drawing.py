"""How figures are drawn: inline SVG, text in the page's own colour, sized to be read on a phone."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Drawn 4.4 inches wide, a figure is shown at about its own size on a phone.
_SIZE = (4.4, 2.9)
_LINE = 0.25  # inches, of a legend
INK = "#010203"  # stands for the page's text colour until the SVG is written
COLOURS = ("#8a63d2", "#1f78d1", "#d9730d", "#1a9e77")  # told apart on white, on black and by most eyes
MARKS = ("s", "o", "^", "D")
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
}


def standalone(svg: str) -> str:
    """A page's <svg> as a file of its own, in black."""
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return svg.replace("<svg", f"<svg {names}", 1) + "\n"


def legend_above(axes: Axes, entries: int) -> None:
    """The legend over the axes, where no point can lie; two or three entries a line."""
    axes.legend(
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=_columns(entries),
        columnspacing=1,
        handletextpad=0.4,
    )


def _columns(entries: int) -> int:
    return 2 if entries == 4 else min(entries, 3)


@contextmanager
def figure(salt: str, *, entries: int = 0) -> Iterator[tuple[Axes, list[str]]]:
    """Axes to draw on; the SVG is appended to the list when they are left.

    Args:
        salt: different for every figure of a page.
        entries: of the legend above; further lines of it make the figure higher.
    """
    done: list[str] = []
    # The salt keeps the ids of several drawings in one page apart, and equal from build to build.
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": salt}):
        lines = -(-entries // _columns(entries)) if entries else 0
        width, height = _SIZE
        drawn_on = Figure(figsize=(width, height + _LINE * max(lines - 1, 0)), layout="constrained")
        axes = drawn_on.subplots()
        yield axes, done
        drawn = io.StringIO()
        drawn_on.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
        done.append(drawn.getvalue())


def labelled(done: list[str], label: str) -> str:
    """The bare <svg> element: no metadata, no namespaces, no fixed size; described for screen readers."""
    svg = done[0][done[0].index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?)\s(width|height)="[^"]*"', r"\1", svg)
    svg = re.sub(r'(<svg[^>]*?)\s(width|height)="[^"]*"', r"\1", svg)
    described = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return svg.replace(INK, "currentColor").replace("<svg", f'<svg role="img" aria-label="{described}"', 1)
