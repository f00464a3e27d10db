"""Values that change while training: step -> value."""

from limbeck.schedules.curves import cosine, linear
from limbeck.schedules.scheduled import Curve

__all__ = ["Curve", "cosine", "linear"]
