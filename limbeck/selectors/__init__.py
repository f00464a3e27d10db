"""Subsets of rows under a budget, and orders of rows; this file is the list.

A selector yields rows one after the other, best first, and whoever reads it stops when the budget is full.
Its positional arguments name the features that it needs:

    count          how many rows there are
    scores         [N] a column of numbers, or a scorer's losses
    groups         [N] a column of words
    texts          [N]
    lengths        [N] tokens, or characters
    vectors        [N, D] embeddings of the texts, unit vectors
    losses         [N] of answers behind their prompts, under a scorer
    alone_losses   [N] of answers without their prompts, under a scorer
    gradients      what a model would learn from the rows, and from those of a target
"""

from limbeck.selectors.competence import competence
from limbeck.selectors.difficulty import difficulty
from limbeck.selectors.facility_location import facility_location
from limbeck.selectors.farthest import farthest
from limbeck.selectors.herding import herding
from limbeck.selectors.ifd import ifd
from limbeck.selectors.k_center import k_center
from limbeck.selectors.length_order import length_order
from limbeck.selectors.less import less
from limbeck.selectors.quota import quota
from limbeck.selectors.random import random
from limbeck.selectors.semantic_dedup import semantic_dedup
from limbeck.selectors.top_k import top_k

__all__ = [
    "competence",
    "difficulty",
    "facility_location",
    "farthest",
    "herding",
    "ifd",
    "k_center",
    "length_order",
    "less",
    "quota",
    "random",
    "semantic_dedup",
    "top_k",
]
