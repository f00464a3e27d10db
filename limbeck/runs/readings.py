"""Whether what is measured is read as it was learnt from."""

from collections.abc import Iterator, Sequence

from limbeck.recipes.steps import Evaluate, Step, Train

READ_BY = ("loss_on", "max_length", "max_target_length")
"""Fields of train, capture and evaluate steps that say how rows are read."""


def notes_on_reading(step: Step, earlier: Sequence[Step]) -> Iterator[str]:
    """Fields that an evaluation reads rows by, where the training of its student had others."""
    trained = Train.that_made(step.model, earlier) if isinstance(step, Evaluate) else None
    if trained is None:
        return
    for name in READ_BY:
        learnt, measured = getattr(trained, name), getattr(step, name)
        if learnt != measured:
            yield (
                f"Measured with {name} {measured}, and {trained.out} is trained with {learnt}: other tokens "
                f"than it learns from. Write {name}={learnt} for all steps."
            )
