"""How a teacher with another tokenizer is read."""

from typing import Literal

from pydantic import Field

from limbeck.core.config import Config


class Alignment(Config):
    """The teacher reads the same text in its own tokens; here is what of it answers the student."""

    pair: Literal["chunks", "order"] = Field(
        default="chunks",
        description="positions: tokens that are the same piece of text, or the n-th of a row for the n-th",
    )
    map: Literal["none", "min_edit"] = Field(
        default="none", description="teacher's scores for the student's ids, by spelling"
    )
    threshold: float = Field(
        default=0.1, ge=0, lt=1, description="a chunk ends where the teacher gives a new word more; 0: all do"
    )
    debias: bool = Field(default=True, description="that a word ends counts in a chunk's likelihood")
    teacher_max_length: int | None = Field(
        default=None, ge=2, description="tokens of a row at the teacher; none: as many as it can read"
    )
