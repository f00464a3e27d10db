"""Phrases of a text by rule: runs of words that no punctuation and no function word interrupts."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

OUTSIDE = -1
"""Number of the span of a token that is in none."""

_LEAST_WORDS = 2  # a single word is no phrase
_WORD = re.compile(r"\w+(?:['’_-]\w+)*")
_MARKS = (("▁", " "), ("Ġ", " "), ("Ċ", "\n"), ("<0x0A>", "\n"))
_BLANK = re.compile(r"[^\S\n]*")
# Words that join or introduce phrases of English; a phrase neither holds nor crosses one.
_FUNCTION_WORDS = """
a an the this that these those my your his her its our their some any each every no
and or but nor so yet if then else than because while when where who whom whose which what why how
of in on at by for with from to into onto over under between about against during after before as
is are was were be been being am do does did done has have had having will would shall should can
could may might must not
i you he she it we they me him us them there here
"""
_STOPS = frozenset(_FUNCTION_WORDS.split())


def phrases(text: str) -> list[tuple[int, int]]:
    """Where phrases of at least two words begin and end, in characters, in order and apart.

    Words belong together as long as only spaces lie between them: punctuation, a line break or a
    function word ends a phrase. A chunker for noun, verb and prepositional phrases, as the paper's,
    needs a tagger for each language; this rule needs none and finds most English noun phrases without
    their articles.

    Source:
        In the place of the rule chunker of Liu et al. 2024 (MGSR), arXiv:2407.10068; ours.
    """
    found: list[tuple[int, int]] = []
    start, end, words = 0, -1, 0
    for match in _WORD.finditer(text):
        joins = _BLANK.fullmatch(text, end, match.start()) is not None if words else False
        is_content = match.group().lower() not in _STOPS
        if words and not (joins and is_content):
            found += [(start, end)] if words >= _LEAST_WORDS else []
            words = 0
        if is_content:
            start = start if words else match.start()
            end, words = match.end(), words + 1
    return found + ([(start, end)] if words >= _LEAST_WORDS else [])


def spans_of_pieces(pieces: Sequence[str]) -> NDArray[np.int64]:
    """The phrase of each token [n], from the tokens as a vocabulary writes them.

    Marks of spaces and line breaks, of SentencePiece and of byte-level BPE, are understood; other
    bytes stand for a letter each.
    """
    texts = [_plain(piece) for piece in pieces]
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    starts = ends - np.asarray([len(text) for text in texts], dtype=np.int64)
    offsets = np.stack([starts, ends], axis=1)
    return spans_of_tokens(offsets, phrases("".join(texts)))


def spans_of_tokens(offsets: NDArray[np.int64], found: Sequence[tuple[int, int]]) -> NDArray[np.int64]:
    """The span of each token, by the characters it stands for.

    Args:
        offsets: [n, 2] first and last character (exclusive) of each token; equal for marks that stand
            for no text.
        found: begin and end of each span, in order and apart.

    Returns:
        [n] the place of the span in `found`, or OUTSIDE. A token counts by its characters that are no
        space before the word, so ` cat` belongs to the phrase that begins with `cat`; one that reaches
        out of a span is outside.
    """
    spans = np.full(len(offsets), OUTSIDE, dtype=np.int64)
    if not found or not len(offsets):
        return spans
    starts, ends = np.asarray(found, dtype=np.int64).T
    # A space that the tokenizer glued to a word ends the text before it.
    place = np.searchsorted(starts, offsets[:, 1] - 1, side="right") - 1
    inside = (place >= 0) & (offsets[:, 1] <= ends[place]) & (offsets[:, 1] > offsets[:, 0])
    inside &= offsets[:, 0] >= starts[place] - 1
    spans[inside] = place[inside]
    return spans


def _plain(piece: str) -> str:
    """A vocabulary's spelling of a token as text."""
    for mark, text in _MARKS:
        piece = piece.replace(mark, text)
    return piece
