"""Values that change while training: curves of the step, rules that watch metrics. This file is the list."""

from limbeck.schedules.curves import cosine, linear, plateau
from limbeck.schedules.feedback import adaptive_interpolation, adaptive_share

__all__ = ["adaptive_interpolation", "adaptive_share", "cosine", "linear", "plateau"]
