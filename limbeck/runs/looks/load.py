"""`load`: the rows are read whole, because everything else depends on them."""

from limbeck.core.errors import ConfigError, Problem
from limbeck.recipes.steps import Load
from limbeck.recipes.steps.step import path_of
from limbeck.runs.loading import loaded, notes_on
from limbeck.runs.looks.look import Look


def look(at: Look, step: Load) -> None:
    """Read the rows; refuse a part that a step reads and that has none."""
    parts, steps = loaded(step), at.seen.recipe.steps
    at.seen.notes[at.place] = notes_on(parts, steps)
    read = {
        rows.partition(".")[2]: place
        for place, other in enumerate(steps)
        for rows in other.named("rows").values()
        if rows.partition(".")[0] == step.out
    }
    for part, rows in zip(step.parts, parts, strict=True):
        if len(rows) == 0 and part in read:
            reader = path_of(read[part], steps[read[part]])
            raise ConfigError(
                Problem(
                    part if part != "train" else "heldout",
                    f"must leave at least one row in {step.out}.{part}, which {reader} reads, got "
                    f"{step.heldout:g} held out of {sum(map(len, parts))} rows. Set another share or "
                    "number of rows; equal rows always stay on one side.",
                )
            )
        at.rows[f"{step.out}.{part}"] = rows
