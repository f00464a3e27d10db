"""How a capture reads rows: with which tokenizer, and as what, whatever the form of its teacher."""

from dataclasses import dataclass
from typing import Any

from limbeck.core.kinds import KindName
from limbeck.core.models import load_tokenizer
from limbeck.recipes.steps import Capture
from limbeck.recipes.teachers import EndpointTeacher
from limbeck.runs.assembly.models import located
from limbeck.runs.checking.model_infos import ModelInfos, kind_used


@dataclass(frozen=True)
class CaptureReading:
    """How a capture reads rows.

    Attributes:
        kind: what its teacher is used as.
        tokenizer: its teacher's.
        vocabulary: columns of the teacher's head; None where only its tokens are known.
    """

    kind: KindName
    tokenizer: Any
    vocabulary: int | None


def capture_reading(capture: Capture, known: ModelInfos) -> CaptureReading | None:
    """How a capture reads rows; None where its teacher is wrong, which is said at the capture."""
    teacher = capture.teacher
    if isinstance(teacher, EndpointTeacher):
        if teacher.tokenizer is None:
            return None
        return CaptureReading("causal", load_tokenizer(located(teacher.tokenizer)), None)
    shape = known.infos.get(teacher.word)
    if shape is None:
        return None
    return CaptureReading(kind_used(capture.model_kind, shape), known.tokenizer(shape), shape.vocabulary)
