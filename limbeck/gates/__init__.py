"""Judgements of rows, which annotate and never delete; this file is the list.

A gate is a function `NAME(rows, *, settings) -> Iterator[Verdict]`, one verdict a row, in order. The name
of its first
argument says what it judges: `rows`, each alone or after those before it, or `groups`, all answers to one
question together. Further arguments by place declare what it needs: `memory` (a mapping of its own, which
lives on from chunk to chunk), `against` (rows of evaluation sets or seeds), `classifier` (of pairs of
texts), `scorer` (mean cross-entropy), `ask` (a teacher; the gate is then an async generator).
"""

from limbeck.gates.code_tests import code_tests
from limbeck.gates.exact_duplicate import exact_duplicate
from limbeck.gates.length import length

__all__ = ["code_tests", "exact_duplicate", "length"]
