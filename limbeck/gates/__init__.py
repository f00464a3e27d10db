"""Judgements of rows, which annotate and never delete; this file is the list.

A gate is a function `NAME(rows, *, settings) -> Iterator[Verdict]`, one verdict a row, in order. The name of
its first argument says what it judges: `rows`, each alone or after those before it; `groups`, all answers to
one question together; `everything`, all rows at once. Further arguments by place declare what it needs:
`memory` (a mapping of its own, which lives on from chunk to chunk), `against` (rows of evaluation sets or
seeds), `classifier` (of pairs of texts), `scorer` (mean cross-entropy), `ask` (a teacher; the gate is then an
async generator). One with a default is not needed.
"""

from limbeck.gates.anls import anls
from limbeck.gates.code_tests import code_tests
from limbeck.gates.common_question import common_question
from limbeck.gates.decontaminate import decontaminate
from limbeck.gates.entailed_duplicate import entailed_duplicate
from limbeck.gates.entailment import entailment
from limbeck.gates.exact_duplicate import exact_duplicate
from limbeck.gates.exact_match import exact_match
from limbeck.gates.execution_equation import execution_equation
from limbeck.gates.finished import finished
from limbeck.gates.format import format
from limbeck.gates.is_true import is_true
from limbeck.gates.json_schema import json_schema
from limbeck.gates.judge import judge
from limbeck.gates.length import length
from limbeck.gates.math_equal import math_equal
from limbeck.gates.near_duplicate import near_duplicate
from limbeck.gates.ngram_repetition import ngram_repetition
from limbeck.gates.novelty import novelty
from limbeck.gates.numbers_agree import numbers_agree
from limbeck.gates.overlap import overlap
from limbeck.gates.pass_rate import pass_rate
from limbeck.gates.perplexity import perplexity
from limbeck.gates.self_consistency import self_consistency

__all__ = [
    "anls",
    "code_tests",
    "common_question",
    "decontaminate",
    "entailed_duplicate",
    "entailment",
    "exact_duplicate",
    "exact_match",
    "execution_equation",
    "finished",
    "format",
    "is_true",
    "json_schema",
    "judge",
    "length",
    "math_equal",
    "near_duplicate",
    "ngram_repetition",
    "novelty",
    "numbers_agree",
    "overlap",
    "pass_rate",
    "perplexity",
    "self_consistency",
]
