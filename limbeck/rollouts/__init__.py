"""Sequences written while training: who writes, what is kept, and how sampled tokens are judged."""

from limbeck.rollouts.prepare import Rollouts
from limbeck.rollouts.writers import LocalWriter, Writer, Writers

__all__ = ["LocalWriter", "Rollouts", "Writer", "Writers"]
