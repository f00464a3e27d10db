"""What a step may ask of its teacher, and what each form of teacher gives."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

TEXT, DISTRIBUTION, NEW_ROWS, INNER = "text", "distribution", "new_rows", "inner"
BESIDE, CAPTURED = "beside", "captured"

CAPABILITIES: Mapping[str, str] = {
    TEXT: "text that it writes",
    DISTRIBUTION: "distributions over the rows it was given",
    NEW_ROWS: "answers to rows that come up later",
    INNER: "inner layers and embeddings",
    BESIDE: "judgements beside the training",
    CAPTURED: "scores of one model that a store can keep",
}
"""Name of what a teacher can give -> what it is, as messages say it."""


@dataclass(frozen=True)
class Ask:
    """Something that a step asks of its teacher.

    Attributes:
        path: inside the step, of what asks: `objective.0`, `rollouts`, or `teacher` for the step itself.
        what: a key of `CAPABILITIES`.
        why: who asks for what, as the beginning of a sentence: `objective state_mse reads teacher_states`.
    """

    path: str
    what: str
    why: str


def listed(names: Collection[str]) -> str:
    """Capabilities in words, in the order of the table."""
    return ", ".join(words for name, words in CAPABILITIES.items() if name in names)
