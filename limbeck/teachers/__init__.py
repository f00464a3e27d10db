"""Whoever answers: where the signals of a teacher come from."""

from limbeck.teachers.cross_tokenizer import CrossTokenizerRows, CrossTokenizerTeacher
from limbeck.teachers.ensemble import EnsembleTeacher, Member, live_models
from limbeck.teachers.local import LocalTeacher
from limbeck.teachers.own_view import OwnViewTeacher
from limbeck.teachers.protocol import Teacher
from limbeck.teachers.routing import ByColumn, ByLikelihood
from limbeck.teachers.stored import StoredTeacher
from limbeck.teachers.vocabulary import SharedVocabulary, shared_vocabulary

__all__ = [
    "ByColumn",
    "ByLikelihood",
    "CrossTokenizerRows",
    "CrossTokenizerTeacher",
    "EnsembleTeacher",
    "LocalTeacher",
    "Member",
    "OwnViewTeacher",
    "SharedVocabulary",
    "StoredTeacher",
    "Teacher",
    "live_models",
    "shared_vocabulary",
]
