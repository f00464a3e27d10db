"""What two models and some rows are, as far as the choice of a recipe depends on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.students import Student
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.load import load_rows
from limbeck.runs.assembly.models import ModelInfo, read_info, tokenizer_of
from limbeck.runs.assembly.students import made_info
from limbeck.runs.checking.problems import Problems
from limbeck.teachers.vocabulary import same_ids

_COUNTED = 4096  # rows whose tokens are counted
_FEWEST = 4  # rows: some to train on, some to evaluate on


@dataclass(frozen=True)
class Findings:
    """What was found.

    Attributes:
        data: the rows' path, as the user named it.
        teacher_word: the teacher, as the user named it.
        student_word: the student, as a recipe writes it.
        teacher: its shape.
        student: its shape.
        rows: number of rows.
        kind: of the rows.
        columns: of the rows.
        same_ids: whether both models have one tokenizer.
        longest: tokens of the longest row that was counted, in the student's tokenizer.
        total: tokens of all rows, estimated.
        has_template: whether the student's tokenizer has a chat template.
    """

    data: str
    teacher_word: str
    student_word: Any
    teacher: ModelInfo
    student: ModelInfo
    rows: int
    kind: Kind
    columns: tuple[str, ...]
    same_ids: bool
    longest: int
    total: int
    has_template: bool

    @property
    def said(self) -> tuple[str, ...]:
        """A line each for teacher, student, their tokenizers and the rows."""
        template = "with a chat template" if self.has_template else "without a chat template"
        return (
            f"teacher: {self.teacher.kind or 'unknown kind'}, {self.teacher.parameters:,} parameters",
            f"student: {self.student.kind or 'unknown kind'}, {self.student.parameters:,} parameters",
            f"tokenizers: {'the same' if self.same_ids else 'different'}; the student's {template}",
            f"data: {self.rows:,} rows of {self.kind.value}, about {self.total:,} tokens",
        )


def look(teacher: str, data: str, student: Any = None) -> Findings:
    """Look at two models and the data.

    Args:
        teacher: folder or id.
        data: as `path` of a load step.
        student: as an input of a recipe; None: half of the teacher's layers.

    Raises:
        UserError: a model or the data cannot be read, all that is wrong in one go.
    """
    problems = Problems()
    shapes: dict[str, ModelInfo] = {}
    rows: Dataset | None = None
    with problems.at("teacher"):
        shapes["teacher"] = read_info(teacher)
        tokenizer_of(shapes["teacher"])
    if student is None and "teacher" in shapes:
        student = {"cut": teacher, "layers": max(1, shapes["teacher"].depth // 2)}
    if student is not None:
        with problems.at("student"):
            form = Student.model_validate(student)
            origin = read_info(form.origin)
            shapes["student"] = made_info(form, origin, origin.kind)
            tokenizer_of(shapes["student"])
    with problems.at("data"):
        rows = load_rows(data)
        if len(rows) < _FEWEST:
            raise ConfigError(Problem("data", f"must have at least {_FEWEST} rows, got {len(rows)}."))
    problems.refuse()
    assert rows is not None, "else refused"
    ours, theirs = shapes["student"], shapes["teacher"]
    tokenizer = tokenizer_of(ours)
    lengths = _lengths(rows.select(range(min(len(rows), _COUNTED))), tokenizer)
    return Findings(
        data=data,
        teacher_word=teacher,
        student_word=student,
        teacher=theirs,
        student=ours,
        rows=len(rows),
        kind=kind_of(rows.column_names),
        columns=tuple(rows.column_names),
        same_ids=ours.tokenizer == theirs.tokenizer or same_ids(tokenizer, tokenizer_of(theirs)),
        longest=max(lengths),
        total=round(sum(lengths) / len(lengths) * len(rows)),
        has_template=bool(tokenizer.chat_template),
    )


def _lengths(rows: Dataset, tokenizer: Any) -> list[int]:
    """Tokens of each row: of all its text, and of the marks a chat template may put around turns."""
    kind = kind_of(rows.column_names)
    names = [name for name in (*kind.columns, "rationale") if name in rows.column_names]
    return [
        len(tokenizer(_text([row[name] for name in names]))["input_ids"])
        + 8 * len(row.get("messages") or "x")
        for row in rows
    ]


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return _text(value.get("content") or "")
    return "\n".join(map(_text, value)) if isinstance(value, list) else str(value)
