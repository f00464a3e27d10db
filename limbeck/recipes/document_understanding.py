"""Document understanding: pages as text on a grid, a teacher's answers, easy pages first.

Lamott and Shakir 2024, arXiv:2409.11282; no code is released. Words with their places, as a reader of scans
gives them, are set on a grid of characters; the teacher answers questions about the page as text, and a
seq2seq student (FLAN-T5 there) learns its answers in an order that rises from easy to hard. Measured by ANLS
with the answers of the data. What the paper leaves open, or where we differ:

- how hard a page is, the paper does not say exactly: its length, the answer's length, or the untrained
  student's loss on the teacher's answer;
- the rise of competence is that of Platanios et al. 2019, arXiv:1903.09848; hard pages come as often as easy
  ones, and the baseline reads the same rows shuffled, in as many updates;
- runs of spaces are counted (`<12>`): the tokenizers of T5 make one space of many, and the layout would be
  gone; `spaces: keep` is refused for such a student.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from limbeck.recipes.comparison import compared
from limbeck.recipes.elicited import Elicited
from limbeck.recipes.inputs import common_start
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Select, Step
from limbeck.recipes.students import Student
from limbeck.recipes.students.student import BYTES

Curriculum = Literal["page_length", "answer_length", "loss"]

_PAGES, _UNSEEN = "pages", "unseen_pages"


@compared(heldout=0.1, per_device_train_batch_size=8, max_length=1024)
def document_understanding(
    common: Elicited,
    *,
    words: str = "words",
    boxes: str = "boxes",
    spaces: Literal["keep", "count"] = "count",
    prompt: str = "document_question",
    curriculum: Curriculum = "page_length",
    competence_start: Annotated[float, Field(gt=0, le=1)] = 0.01,
    max_target_length: int = 128,
    elicited_tokens: Annotated[int, Field(ge=1)] = 256,
    max_new_tokens: Annotated[int, Field(ge=1)] = 64,
    prompts: Annotated[int, Field(ge=1)] = 256,
) -> Recipe:
    """A teacher's answers about pages, learnt from easy to hard; the baseline learns them shuffled.

    Rows are `question` + `answer` with the words of a page and their boxes; a list in a column `answers` has
    all that are right. Answers of the data are for measuring alone. The teacher answers about the held-out
    pages, too: the report has its mean score beside the students' ANLS.

    Args:
        words: column with the words of a page.
        boxes: column with their places, [left, top, right, bottom] each.
        spaces: `count` runs of spaces, or `keep` them, for a student whose tokenizer does.
        prompt: a prompt file for the teacher.
        curriculum: what makes a row hard.
        competence_start: share of the rows in reach at the beginning.
        max_target_length: tokens of an answer of a seq2seq model.
        elicited_tokens: of the teacher's answers.
        max_new_tokens: longest answer that is generated when measuring, in tokens.
        prompts: held-out questions that are answered, at most.
    """
    _, start = common_start(common.student, seed=common.seed)
    page: dict[str, Any] = {"name": "verbalise", "words": words, "boxes": boxes, "spaces": spaces}
    if spaces == "keep":
        page["student"] = _tokenizer(common)
    answer = {
        "name": "answer",
        "prompt": prompt,
        "max_new_tokens": elicited_tokens,
        "sampling_temperature": 0.0,
    }
    read: dict[str, Any] = {"max_target_length": max_target_length}
    making: tuple[Step, ...] = (
        common.elicited(page, out=_PAGES),
        common.elicited(page, out=_UNSEEN, rows="rows.heldout"),
        common.elicited(answer, out="answered", rows=_PAGES, gates=("finished",)),
        common.elicited(
            answer, out="teacher", rows=_UNSEEN, gates=("anls",), fewest=0, failures="skip", limit=prompts
        ),
        _ordered(curriculum, start, common.max_length),
    )
    return common.recipe(
        "document_understanding",
        making,
        learnt="ordered",
        compared="ordered",
        of_training={"packing": False, **read},
        of_student={"order": "competence", "competence_start": competence_start},
        rows=_UNSEEN,
        metrics=("anls", "perplexity", "generation", "speed"),
        max_new_tokens=max_new_tokens,
        prompts=prompts,
        seed=common.seed,
        **read,
    )


def _ordered(curriculum: Curriculum, start: Student, max_length: int) -> Select:
    """All rows, the easy ones first."""
    by: dict[str, Any] = {"selector": "length_order", "text": "prompt"}
    if curriculum == "answer_length":
        by["text"] = "answer"
    if curriculum == "loss":
        lowest = {"name": "top_k", "highest": False}
        by = {"selector": lowest, "model": start.origin, "max_length": max_length}
    return Select.model_validate({"out": "ordered", "rows": "answered", **by})


def _tokenizer(common: Elicited) -> str | None:
    """Whose layout is to survive."""
    student = Student.model_validate(common.student)
    return None if student.tokenizer == BYTES else student.tokenizer or student.origin
