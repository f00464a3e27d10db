"""How the small model is made from the big one."""

from limbeck.students.adapters import add_lora, merge_lora
from limbeck.students.fresh import fresh
from limbeck.students.layers import evenly_spaced, keep_layers

__all__ = ["add_lora", "evenly_spaced", "fresh", "keep_layers", "merge_lora"]
