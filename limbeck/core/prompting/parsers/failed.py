"""An answer that is not as its prompt asks for."""

from limbeck.core.errors import LimbeckError


class ParseFailed(LimbeckError):
    """Nothing can be read from an answer; it is counted, and never learnt from.

    Attributes:
        reason: one word that reports count by.
        message: a sentence.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason, self.message = reason, message
        super().__init__(f"{reason}: {message}")
