"""How the small model is made from the big one."""

from limbeck.students.adapters import add_lora, merge_lora, said_of_lora
from limbeck.students.byte_tokenizer import byte_tokenizer
from limbeck.students.fresh import fresh
from limbeck.students.importance import Importance, measure_importance
from limbeck.students.layers import evenly_spaced, keep_layers
from limbeck.students.prune import prune
from limbeck.students.retokenise import retokenise, with_tokenizer
from limbeck.students.sizes import PrunedSizes, pruned_config, sizes_from_ratio, sizes_from_words
from limbeck.students.width import keep_units

__all__ = [
    "Importance",
    "PrunedSizes",
    "add_lora",
    "byte_tokenizer",
    "evenly_spaced",
    "fresh",
    "keep_layers",
    "keep_units",
    "measure_importance",
    "merge_lora",
    "prune",
    "pruned_config",
    "retokenise",
    "said_of_lora",
    "sizes_from_ratio",
    "sizes_from_words",
    "with_tokenizer",
]
