"""`capture`: the rows as the teacher reads them, and how many positions are kept of it."""

from limbeck.core.errors import ModelError, Problem
from limbeck.core.kinds import kind_named, kinds_that
from limbeck.recipes.steps import Capture
from limbeck.runs.known import check_positions, kind_used
from limbeck.runs.looks.look import Look
from limbeck.runs.sources import rendering_of
from limbeck.runs.stores import positions_of


def look(at: Look, step: Capture) -> None:
    """Refuse a teacher that gives no tokens, and rows that are too long for it."""
    teacher = at.shape(step.teacher.word, "teacher.model")
    if teacher is None:
        return
    kind = kind_used(step.model_kind, teacher)
    if not kind_named(kind).storable:
        allowed = kinds_that("storable")
        raise ModelError(Problem("teacher.model", f"must be {allowed} to be captured, got {kind}."))
    if step.rows in at.rows:
        rendering = rendering_of(step, kind, task=step.task, label_names=())
        rendered = at.render(step.rows, teacher, rendering)
        check_positions(rendered, teacher)
        at.note_form(step.rows, kind, teacher, rendered)
        lengths = [len(ids) for ids in rendered["input_ids"]]
        at.seen.entries[at.place] = (len(lengths), sum(lengths))
        at.seen.positions[at.place] = positions_of(rendered)
