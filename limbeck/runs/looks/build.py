"""`build`: the shape of what will be made, and the rows it is pruned by."""

from limbeck.recipes.steps import Build
from limbeck.runs.known import check_longest
from limbeck.runs.looks.look import Look
from limbeck.runs.models import made_shape
from limbeck.runs.sources import calibration_source


def look(at: Look, step: Build) -> None:
    """Find the shape of the student; refuse rows that its origin cannot read."""
    origin = at.shape(step.student.origin, "student")
    if origin is None:
        return
    with at.at("student"):
        at.seen.models[step.out] = made_shape(step.student, origin, None)
    if step.rows in at.rows:
        source, entries = calibration_source(at.rows[step.rows], step, at.known.tokenizer(origin))
        lengths = [source.lengths[entry] for entry in entries]
        check_longest(max(lengths, default=0), origin)
        at.seen.entries[at.place] = len(entries), sum(lengths)
