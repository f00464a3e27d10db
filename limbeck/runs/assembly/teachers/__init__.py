"""The teacher of a training, whatever its form: one module a form, listed in `OPENED`."""

from collections.abc import Callable
from typing import Any

from limbeck.recipes.teachers import EndpointTeacher, ModelTeacher, StoredTeacher
from limbeck.recipes.teachers import EnsembleTeacher as EnsemblePart
from limbeck.recipes.teachers import Teacher as TeacherPart
from limbeck.runs.assembly.asked import Asking
from limbeck.runs.assembly.teachers import (
    endpoint,
    endpoint_capturing,
    endpoint_writing,
    local_asking,
    local_capturing,
    local_writing,
)
from limbeck.runs.assembly.teachers.capturing import Capturing
from limbeck.runs.assembly.teachers.ensemble import OpenedEnsemble
from limbeck.runs.assembly.teachers.local import OpenedModel
from limbeck.runs.assembly.teachers.opened import Opened, Taught
from limbeck.runs.assembly.teachers.stored import OpenedStore
from limbeck.runs.assembly.teachers.writing import Writing
from limbeck.teachers.protocol import Teacher

OPENED: dict[type[TeacherPart], Callable[[Any, str, Taught], Opened]] = {
    ModelTeacher: OpenedModel,
    StoredTeacher: OpenedStore,
    EnsemblePart: lambda part, path, taught: OpenedEnsemble(
        part, taught, [open_teacher(one, path, taught) for path, one in part.members.items()]
    ),
}
"""How the forms of teacher are opened: what the recipe says, the path inside `teacher`, the training."""

WRITING_TEACHERS: dict[type[TeacherPart], Writing] = {
    ModelTeacher: local_writing,
    EndpointTeacher: endpoint_writing,
}
"""How the forms that give text write completions of rows."""

ASKED_TEACHERS: dict[type[TeacherPart], Asking] = {ModelTeacher: local_asking, EndpointTeacher: endpoint}
"""How they are asked one request at a time."""

CAPTURED_TEACHERS: dict[type[TeacherPart], Capturing] = {
    ModelTeacher: local_capturing,
    EndpointTeacher: endpoint_capturing,
}
"""How the forms whose scores a store can keep are asked for them."""


def open_teacher(part: TeacherPart, path: str, taught: Taught) -> Opened:
    """The teacher that a recipe names.

    Args:
        part: what the recipe says.
        path: of it inside the step's teacher: empty, or `ensemble.0.`.
        taught: the training.
    """
    return OPENED[type(part)](part, path, taught)


def make_teacher(taught: Taught) -> tuple[Teacher | None, int | None]:
    """The teacher, and the number of token ids that all share (None: all of the student's).

    Raises:
        VocabularyError: the tokenizers differ.
        StoreError: the store was captured from other rows, or cannot be read.
    """
    if taught.step.teacher is None:
        return None, None
    opened = open_teacher(taught.step.teacher, "", taught)
    vocabulary = opened.shared
    return opened.answering(vocabulary), vocabulary
