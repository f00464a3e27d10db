"""Programs that make rows by asking a teacher; this file is the list."""

from limbeck.operators.answer import answer
from limbeck.operators.chain_of_density import chain_of_density
from limbeck.operators.evolve import evolve
from limbeck.operators.expand_self_instruct import expand_self_instruct
from limbeck.operators.extract_entities import extract_entities
from limbeck.operators.judge import judge
from limbeck.operators.judge_pair import judge_pair
from limbeck.operators.magpie import magpie
from limbeck.operators.preferences import preferences
from limbeck.operators.rationalise import rationalise
from limbeck.operators.rationalise_wrong import rationalise_wrong
from limbeck.operators.rewrite import rewrite

__all__ = [
    "answer",
    "chain_of_density",
    "evolve",
    "expand_self_instruct",
    "extract_entities",
    "judge",
    "judge_pair",
    "magpie",
    "preferences",
    "rationalise",
    "rationalise_wrong",
    "rewrite",
]
