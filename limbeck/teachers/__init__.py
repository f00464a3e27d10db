"""Whoever answers: where the signals of a teacher come from."""

from limbeck.teachers.foreign import ForeignRows, ForeignTeacher
from limbeck.teachers.local import LocalTeacher
from limbeck.teachers.protocol import Teacher
from limbeck.teachers.stored import StoredTeacher
from limbeck.teachers.vocabulary import SharedVocabulary, shared_vocabulary

__all__ = [
    "ForeignRows",
    "ForeignTeacher",
    "LocalTeacher",
    "SharedVocabulary",
    "StoredTeacher",
    "Teacher",
    "shared_vocabulary",
]
