"""What a signal is: whose it is, what it asks of the models, how a term gets it, what it is tried on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

from limbeck.core.needs import Needs, Site

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from limbeck.core.batch import Batch
    from limbeck.core.outputs import Outputs
    from limbeck.core.term import LayerMap

Side = Literal["student", "teacher"]
SIDES: tuple[Side, Side] = ("student", "teacher")

LAYERS = "layers"
"""The site that stands for the layers which a term matches, on either side."""

Asked = frozenset[tuple[Side, str, Site]]
"""What a signal asks of whose model: side, tap, site."""


def of_model(side: Side, tap: str, site: Site = None) -> Asked:
    """One tap of the model of a side."""
    return frozenset({(side, tap, site)})


@dataclass(frozen=True)
class Moment:
    """A term on one micro-batch.

    Attributes:
        student: its answer.
        teacher: its answer; None where no term reads one.
        batch: that both have read.
        layers: that the term matches; None where it matches none.
        chosen: true at the positions whose values are wanted, in one row after the other; None: all, in
            their places.
        tokens: [] how many tokens of the optimizer step the term learns from, at least 1.
        sums: signal -> what `Signal.summed` adds up to over the optimizer step.
    """

    student: "Outputs"
    teacher: "Outputs | None"
    batch: "Batch"
    layers: "LayerMap | None" = None
    chosen: "Tensor | None" = None
    tokens: "Tensor | float" = 1.0
    sums: "Mapping[str, Tensor]" = field(default_factory=dict)

    def answer(self, side: Side) -> "Outputs":
        """What the model of a side has said."""
        found = self.student if side == "student" else self.teacher
        assert found is not None, "a term that reads a teacher has one"
        return found

    def matched(self, side: Side) -> tuple[int, ...]:
        """Layers of a side that the term matches."""
        assert self.layers is not None, "recipes say layers for objectives that read any"
        return self.layers.student if side == "student" else self.layers.teacher

    def at_chosen(self, values: "Tensor") -> "Tensor":
        """Of values with one entry a position, those that are wanted."""
        return values if self.chosen is None else values[self.chosen]


@dataclass(frozen=True)
class Trial:
    """Small random values that an objective is tried on, before anything is spent.

    Attributes:
        layers: that the term matches.
        student_width: of its hidden states.
        teacher_width: of its hidden states.
        whole_rows: values stand at [B, T] positions; else one a unit, [B], as pointwise terms get them.
        stored: the teacher is a top-k store.
    """

    layers: int = 1
    student_width: int = 8
    teacher_width: int = 8
    whole_rows: bool = False
    stored: bool = False
    rows: int = 2
    tokens: int = 4
    classes: int = 5
    chunks: int = 3

    @property
    def units(self) -> tuple[int, ...]:
        """Shape of values with one entry a position."""
        return (self.rows, self.tokens) if self.whole_rows else (self.rows,)

    def width(self, side: Side) -> int:
        """Of the hidden states of a side."""
        return self.student_width if side == "student" else self.teacher_width

    def numbers(self, *shape: int) -> "Tensor":
        """The next ones of a normal distribution."""
        import torch

        return torch.randn(*shape, generator=self._random)

    def ids(self, *shape: int) -> "Tensor":
        """Ids of classes or tokens, one after the other."""
        import torch

        return torch.arange(torch.Size(shape).numel()).view(shape) % self.classes

    @cached_property
    def _random(self) -> "torch.Generator":
        import torch

        return torch.Generator().manual_seed(0)


@dataclass(frozen=True)
class Signal:
    """A name that an objective may have among its positional arguments.

    Attributes:
        name: as objectives spell it.
        about: its shape in square brackets, and what it is.
        take: its value for a term on one micro-batch.
        trial: a small value of that shape.
        side: whose it is; None: it comes with the batch, or with the step.
        asks: what models are asked for; `LAYERS` is a site, too.
        pointwise: it has one entry a position, so that an objective of only such signals can be computed a
            row at a time (fused).
        in_packs: rows that share a pack do not disturb it.
        tokens: of a teacher, or of what stands beside one: "same" as the student's, the teacher's "own", or
            "any" of both.
        summed: what a student's answer to `asks` and a batch add to a sum over the optimizer step, which has
            to be known before any of its micro-batches; None: it needs none.
    """

    name: str
    about: str
    take: Callable[[Moment], Any]
    trial: Callable[[Trial], Any]
    side: Side | None = None
    asks: Asked = frozenset()
    pointwise: bool = False
    in_packs: bool = False
    tokens: Literal["same", "own", "any"] = "any"
    summed: "Callable[[Outputs, Batch], Tensor] | None" = None

    @property
    def reads_layers(self) -> bool:
        """Whether a term on it must say which layers it matches."""
        return any(site == LAYERS for _, _, site in self.asks)

    @property
    def reads_inside(self) -> bool:
        """Whether its own model is asked for more than a distribution, in the student's tokens."""
        return self.tokens == "same" and any(
            side == self.side and tap != "distribution" for side, tap, _ in self.asks
        )

    def needs(self, side: Side, layers: "LayerMap | None") -> Needs:
        """What it asks of the model of a side, for a term that matches these layers."""
        matched: tuple[Site, ...] = () if layers is None else getattr(layers, side)
        asked = ((tap, site) for whose, tap, site in self.asks if whose == side)
        return frozenset(
            (tap, one) for tap, site in asked for one in (matched if site == LAYERS else (site,))
        )


def on_both_sides(
    name: str,
    about: str,
    take: Callable[..., Any],
    trial: Callable[..., Any],
    *,
    tap: str,
    site: Site = None,
    **facts: Any,
) -> tuple[Signal, Signal]:
    """`student_<name>` and `teacher_<name>`, each from a tap of its own model.

    Args:
        name: without a side.
        about: with {side} where the side is named.
        take: value of a moment, and of `side` by keyword.
        trial: value of a trial, and of `side` by keyword.
        tap: that is asked of the side's model.
        site: of the tap.
        facts: other attributes of both signals.
    """
    student, teacher = (
        Signal(
            f"{side}_{name}",
            about.format(side=side),
            partial(take, side=side),
            partial(trial, side=side),
            side=side,
            asks=of_model(side, tap, site),
            **facts,
        )
        for side in SIDES
    )
    return student, teacher
