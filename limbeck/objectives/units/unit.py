"""What a unit is: one mask says which are learnt from, and is both summed over and counted."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.outputs import Outputs
from limbeck.core.term import Term

Mask = Callable[[Batch, Term, Outputs | None], Tensor]


@dataclass(frozen=True)
class Unit:
    """What a term has one value of.

    Attributes:
        name: in messages, for one of them.
        mask: of a micro-batch, a term and the teacher's answer: true at the units that are learnt from; of
            the shape of the objective's values.
        weigh: from the mask to the weight of each unit in a sum, if not 1; then terms may choose units by
            `on`, weigh them by `weighted_by`, and `mean` has a meaning.
        counts_answers: how many there are is known only when the teacher has answered.
    """

    name: str
    mask: Mask
    weigh: Callable[[Tensor, Batch, Term], Tensor] | None = None
    counts_answers: bool = False
