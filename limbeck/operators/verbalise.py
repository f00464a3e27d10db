"""Documents with a layout, as text on a grid."""

from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.core.lineage import ID, Row
from limbeck.core.prompting.own import carried, listed, own_answer
from limbeck.operators.grid import Box, counted, on_grid
from limbeck.operators.talk import Talk, made


async def verbalise(
    row: Row,
    ask: Ask,
    *,
    words: str = "words",
    boxes: str = "boxes",
    question: str = "question",
    spaces: Literal["keep", "count"] = "keep",
    student: str | None = None,
    most_blank_lines: Annotated[int, Field(ge=0)] = 2,
) -> list[dict[str, Any]]:
    """A page's words are set on a grid of characters, so that columns and rows stay where they were.

    No teacher is asked: `answer` does that next. The question goes above the page, where cutting does not
    reach it.

    Args:
        words: column with the words of the page, a list of texts.
        boxes: column with the place of each, a list of [left, top, right, bottom], in any unit.
        question: column that goes above the page, if the row has it.
        spaces: `keep` runs of spaces, or `count` them: `<12>` stands for twelve.
        student: folder or id of the tokenizer that will read the page; one that loses runs of spaces is
            refused with `spaces: keep`. Most of T5's kind do.
        most_blank_lines: for a gap between lines.

    Returns:
        One row: the question and the page as prompt, and the row's answer, if it has one, as completion.

    Raises:
        RowError: the columns are not there, or not of one length, or a box is none.
        ConfigError: the student's tokenizer loses the layout.

    Source:
        The layout of Lamott and Shakir 2024, arXiv:2409.11282, after LAPDoc's spatial format; no code is
        released. The grid's column is a word's left edge in mean widths of a character.
    """
    places = _places(row, words, boxes)
    if student is not None and spaces == "keep" and not keeps_spaces(student):
        said = f"must be count for {student}, got keep; its tokenizer makes one space of many."
        raise ConfigError(Problem("spaces", said))

    async def draw(talk: Talk, sample: int) -> Sequence[dict[str, Any]]:
        page = on_grid(places, most_blank_lines=most_blank_lines)
        text = counted(page) if spaces == "count" else page
        asked = f"{row[question]}\n\n{text}" if row.get(question) else text
        gone = {words, boxes, question}
        kept = {name: value for name, value in carried(row).items() if name not in gone}
        own = own_answer(row)
        return [{**kept, "prompt": asked, **({"completion": own} if own is not None else {})}]

    return await made(row, ask, draw, operator="verbalise")


def _places(row: Row, words: str, boxes: str) -> list[tuple[str, Box]]:
    texts, found = listed(row, words), listed(row, boxes)
    if not texts or len(texts) != len(found):
        have = f"{len(texts)} and {len(found)}"
        raise RowError(f"row {row[ID]}: {words} and {boxes} must be lists of one length, got {have} items.")
    for box in found:
        if len(box) != 4 or box[0] > box[2] or box[1] > box[3]:
            raise RowError(
                f"row {row[ID]}: a box must be [left, top, right, bottom], got {list(box)}. "
                "Turn other orders of corners round first."
            )
    return [(text, Box(*box)) for text, box in zip(texts, found, strict=True)]


@cache
def keeps_spaces(tokenizer: str) -> bool:
    """Whether a tokenizer, by its folder or id, gives back as many spaces as it was given."""
    from transformers import AutoTokenizer

    found = AutoTokenizer.from_pretrained(tokenizer)
    ids = found("a   b", add_special_tokens=False).input_ids
    return "a   b" in found.decode(ids, clean_up_tokenization_spaces=False)
