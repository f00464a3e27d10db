"""`load`: read rows, check them, hold some out, keep all parts as Arrow."""

from limbeck.recipes.steps import Load
from limbeck.runs import ranks
from limbeck.runs.loading import loaded, notes_on
from limbeck.runs.steps.work import Made, Work

VERSION = 3
"""Raised when the same step makes other rows: what an earlier limbeck made is then made anew."""


def load(step: Load, work: Work) -> Made:
    """Write `train/`, `validation/` and `heldout/` into the step's folder."""
    if all(name in work.seen_rows for name in step.words):
        parts = [work.seen_rows[name] for name in step.words]
    else:
        parts = list(loaded(step))
    if ranks.is_main():
        for part, rows in zip(step.parts, parts, strict=True):
            # Without a shard of its own an empty part could be written but not read.
            rows.save_to_disk(str(work.folder / part), num_shards=None if len(rows) else 1)
    ranks.wait()
    watched = f", {len(parts[1]):,} for validation" if len(parts[1]) else ""
    apart = f" for training{watched}, {len(parts[2]):,} held out" if step.heldout or watched else ""
    counted = f"{len(parts[0]):,} rows{apart}."
    train, validation, heldout = parts
    return Made(notes=(counted, *notes_on((train, validation, heldout), work.recipe.steps)))
