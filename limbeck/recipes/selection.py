"""Which rows of a train step a teacher answers."""

from typing import Literal

from pydantic import Field

from limbeck.core.config import Config
from limbeck.recipes.parts import Teacher


class Selection(Config):
    """Let the student's uncertainty say which rows the teacher answers (classifiers)."""

    by: Literal["entropy", "margin", "least_confidence", "random"] = "entropy"
    share: float = Field(
        default=0.5, gt=0, le=1, description="of the rows of a step, rounded down; most unsure"
    )
    other: Teacher | None = Field(default=None, description="answers the other rows; none: nobody does")
