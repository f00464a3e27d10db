"""Programs that make rows by asking a teacher; this file is the list."""

from limbeck.operators.answer import answer
from limbeck.operators.chain_of_density import chain_of_density
from limbeck.operators.conversation import conversation
from limbeck.operators.evolve import evolve
from limbeck.operators.expand_self_instruct import expand_self_instruct
from limbeck.operators.extract_entities import extract_entities
from limbeck.operators.judge import judge
from limbeck.operators.judge_pair import judge_pair
from limbeck.operators.judging import judging
from limbeck.operators.magpie import magpie
from limbeck.operators.preferences import preferences
from limbeck.operators.questions import questions
from limbeck.operators.rationalise import rationalise
from limbeck.operators.rationalise_wrong import rationalise_wrong
from limbeck.operators.retrieve import retrieve
from limbeck.operators.retrieve_answer import retrieve_answer
from limbeck.operators.rewrite import rewrite
from limbeck.operators.sentence_pairs import sentence_pairs
from limbeck.operators.tool_calls import tool_calls
from limbeck.operators.verbalise import verbalise

__all__ = [
    "answer",
    "chain_of_density",
    "conversation",
    "evolve",
    "expand_self_instruct",
    "extract_entities",
    "judge",
    "judge_pair",
    "judging",
    "magpie",
    "preferences",
    "questions",
    "rationalise",
    "rationalise_wrong",
    "retrieve",
    "retrieve_answer",
    "rewrite",
    "sentence_pairs",
    "tool_calls",
    "verbalise",
]
