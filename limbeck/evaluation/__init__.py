"""What the student kept: teacher, students and baselines on the same held-out rows.

The functions imported here are the metrics that recipes name.
"""

from limbeck.evaluation.anls import anls
from limbeck.evaluation.calibration import calibration
from limbeck.evaluation.classification import classification
from limbeck.evaluation.entities import entities
from limbeck.evaluation.fidelity import fidelity
from limbeck.evaluation.generation import generation
from limbeck.evaluation.masked_tokens import masked_tokens
from limbeck.evaluation.perplexity import perplexity
from limbeck.evaluation.similarity import similarity
from limbeck.evaluation.speed import speed

__all__ = [
    "anls",
    "calibration",
    "classification",
    "entities",
    "fidelity",
    "generation",
    "masked_tokens",
    "perplexity",
    "similarity",
    "speed",
]
