"""Whether student and teacher mean the same token by the same id, and how many ids they share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from limbeck.core.errors import VocabularyError

PROBES: Mapping[str, str] = {
    "plain words": "The quick brown fox jumps over the lazy dog.",
    "capitals": "McDonald SHOUTED in CamelCase at NASA.",
    "spaces": "  two  spaces,\ta tab,\n\n  a new line and one at the end ",
    "digits": "On 2024-05-17 it cost 1234567.89 or 3/4.",
    "accents": "Café naïve Ångström, Straße, e\u0301 in two parts",
    "punctuation": "Don't (ever) \"quote\" 'this'... we're [here]; #tag @you — 50%!",
    "code": "def f(x_1):\n    return {'a': x_1 ** 2 != 0}  # why",
    "other scripts": "Привет, мир. 你好，世界。こんにちは 안녕하세요 שלום مرحبا नमस्ते ไทย",
    "full-width and ligatures": "ＡＢＣ １２３ ﬁne x² ½",
    "emoji": "fine 🙂 👩‍👩‍👧 🇷🇴",
}
"""Texts that both tokenizers must turn into the same ids, by what they try."""

_NAMED = 3


@dataclass(frozen=True)
class SharedVocabulary:
    """Token ids that mean the same to both.

    Attributes:
        size: ids 0 to size - 1 are shared; head columns from `size` on are padding, cut on both sides.
        overlap: share of all tokens that both have under the same id, in [0, 1].
        note: what was found, in a sentence for the plan.
    """

    size: int
    overlap: float
    note: str


def shared_vocabulary(
    student_tokenizer: PreTrainedTokenizerBase,
    teacher_tokenizer: PreTrainedTokenizerBase,
    student_size: int,
    teacher_size: int,
) -> SharedVocabulary:
    """Compare two vocabularies token by token, and two tokenizers text by text.

    Heads may be padded differently (Qwen2.5: 151,936 and 152,064 columns over 151,665 ids): the
    shared size ends with the last id that either tokenizer can emit. One side may have a few
    added tokens more (a pad token, say) as long as the other's head has a column for each.

    Args:
        student_tokenizer: the student's.
        teacher_tokenizer: the teacher's.
        student_size: columns of the student's head (rows of its embedding).
        teacher_size: columns of the teacher's head.

    Raises:
        VocabularyError: the token -> id maps differ, a head is too small for an id, or the
            same text gives other ids.
    """
    student, teacher = student_tokenizer.get_vocab(), teacher_tokenizer.get_vocab()
    agreeing = sum(teacher.get(token) == index for token, index in student.items())
    overlap = agreeing / len(student.keys() | teacher.keys())
    extra = _extra_tokens(student_tokenizer, teacher_tokenizer)
    if extra is None:
        raise VocabularyError(_difference(student, teacher, overlap))
    size = 1 + max(*student.values(), *teacher.values())
    for whose, columns in (("student", student_size), ("teacher", teacher_size)):
        if columns < size:
            last = max(student | teacher, key=(student | teacher).__getitem__)
            raise VocabularyError(
                f"the {whose}'s head must have a column for every id up to {size - 1} ({last!r}), got "
                f"{columns} columns. Resize its embedding, or take the tokenizer it was saved with."
            )
    _check_behaviour(student_tokenizer, teacher_tokenizer)
    return SharedVocabulary(size, overlap, _note(size, student_size, teacher_size, extra))


def same_ids(student_tokenizer: PreTrainedTokenizerBase, teacher_tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether every token has one id on both sides; a few added ones may be on one side only."""
    return _extra_tokens(student_tokenizer, teacher_tokenizer) is not None


def moved_tokens(
    student_tokenizer: PreTrainedTokenizerBase, teacher_tokenizer: PreTrainedTokenizerBase
) -> float | None:
    """Share of tokens, in (0, 1], under another id where both sides have the same set; otherwise None."""
    student, teacher = student_tokenizer.get_vocab(), teacher_tokenizer.get_vocab()
    if student == teacher or student.keys() != teacher.keys():
        return None
    return sum(teacher[token] != index for token, index in student.items()) / len(student)


def _extra_tokens(student_tokenizer: Any, teacher_tokenizer: Any) -> list[str] | None:
    """Added tokens that only one side has; None if the maps differ in any other way."""
    student, teacher = student_tokenizer.get_vocab(), teacher_tokenizer.get_vocab()
    if any(teacher.get(token, index) != index for token, index in student.items()):
        return None
    tokens_at = {index: token for token, index in student.items()}
    if any(tokens_at.get(index, token) != token for token, index in teacher.items()):
        return None
    only_student = student.keys() - teacher.keys()
    only_teacher = teacher.keys() - student.keys()
    added = student_tokenizer.get_added_vocab().keys() | teacher_tokenizer.get_added_vocab().keys()
    return sorted(only_student | only_teacher) if only_student | only_teacher <= added else None


def _difference(student: Mapping[str, int], teacher: Mapping[str, int], overlap: float) -> str:
    known = sum(token in teacher for token in student) / len(student)
    if len(student) == len(teacher):
        differing = sorted((index, token) for token, index in student.items() if teacher.get(token) != index)
        listed = ", ".join(
            f"{token!r} ({index} and {teacher.get(token, 'none')})" for index, token in differing[:_NAMED]
        )
        got = f"other ids for {listed}; both have {len(student):,} tokens"
    else:
        got = f"{len(student):,} and {len(teacher):,} tokens of different tokenizers"
    return (
        f"student and teacher must give each token the same id, got {got}; overlap: {known:.1%} of the "
        f"student's tokens exist at the teacher, {overlap:.1%} of all have the same id. Choose a teacher of "
        "the student's family, or one for other tokenizers: limbeck run alm; limbeck doctor shows how their "
        "tokens line up."
    )


def _check_behaviour(student_tokenizer: Any, teacher_tokenizer: Any) -> None:
    for what, text in PROBES.items():
        student = student_tokenizer(text, add_special_tokens=False)["input_ids"]
        teacher = teacher_tokenizer(text, add_special_tokens=False)["input_ids"]
        if student != teacher:
            raise VocabularyError(
                f"student and teacher must cut a text the same way, got different ids for {what} ({text!r}: "
                f"{len(student)} and {len(teacher)} tokens); the tokens are the same, but "
                f"{_parts(student_tokenizer, teacher_tokenizer)}. Use one tokenizer for both."
            )


def _parts(*tokenizers: Any) -> str:
    """Which part of the two pipelines differs, where the tokenizers show their parts."""
    first, second = (getattr(tokenizer, "backend_tokenizer", None) for tokenizer in tokenizers)
    parts = ("normalizer", "pre_tokenizer", "model")
    differing = [
        part for part in parts if repr(getattr(first, part, None)) != repr(getattr(second, part, None))
    ]
    return f"they differ in {' and '.join(differing)}" if differing else "their settings differ"


def _note(size: int, student_size: int, teacher_size: int, extra: list[str]) -> str:
    note = f"same tokenizer, {size:,} ids"
    if (student_size, teacher_size) != (size, size):
        note += f"; padding of the heads is cut off ({student_size:,} and {teacher_size:,} columns)"
    if extra:
        shown = ", ".join(map(repr, extra[:_NAMED])) + (", ..." if len(extra) > _NAMED else "")
        note += f"; {len(extra)} added tokens are known to one side only ({shown})"
    return note
