"""One text as two tokenizers read it: where tokens end, and the chunks that both of them bound."""

from limbeck.rows.aligned.chunks import chunk_numbers
from limbeck.rows.aligned.ends import token_ends
from limbeck.rows.aligned.pairs import Pair, render_pair

__all__ = ["Pair", "chunk_numbers", "render_pair", "token_ends"]
