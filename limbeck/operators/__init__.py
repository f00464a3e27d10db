"""Programs that make rows by asking a teacher; this file is the list."""

from limbeck.operators.answer import answer
from limbeck.operators.rationalise import rationalise

__all__ = ["answer", "rationalise"]
