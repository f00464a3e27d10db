"""Hyperparameters that are learnt: modules that objectives own. This file is the list.

A function here makes a module whose forward takes signals by name and returns hyperparameters by
name. The engine trains it beside the student and drops it at export.
"""

from limbeck.objectives.trainable.clip_window import clip_window
from limbeck.objectives.trainable.projection import projection
from limbeck.objectives.trainable.projectors import projectors
from limbeck.objectives.trainable.temperature import temperature

__all__ = ["clip_window", "projection", "projectors", "temperature"]
