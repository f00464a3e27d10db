"""One text as two tokenizers read it: where tokens end, and the chunks that both of them bound."""

from limbeck.rows.aligned.chunks import chunk_numbers
from limbeck.rows.aligned.ends import token_ends

__all__ = ["chunk_numbers", "token_ends"]
