"""Stretches of a text: what is tokenised, and which of it is in the loss."""

from typing import NamedTuple

from limbeck.rows.marks import Marks


class Segment(NamedTuple):
    """A stretch of text: in_loss or only read, and whether the end token follows it.

    `words` are those of the turn, where a template may write its own before and behind them. `hidden` is
    the text with those marks hidden that are no control marks (`rows.marks`); empty where none are.
    `is_answer` marks the assistant's words where no template writes them.
    """

    text: str
    in_loss: bool
    ends: bool = False
    words: str = ""
    hidden: str = ""
    is_answer: bool = False

    @property
    def coded(self) -> str:
        """The text as `rows.tokens` is to encode it."""
        return self.hidden or self.text

    def shown(self, marks: Marks) -> "Segment":
        """The segment, of a text with hidden marks, with both."""
        text = marks.show(self.text)
        hidden = self.text if text != self.text else ""
        return self._replace(text=text, hidden=hidden, words=marks.show(self.words))
