"""What a training asks of its teacher besides distributions at the rows of the data."""

from limbeck.recipes.steps import Train
from limbeck.recipes.terms import Term

_INNER = ("teacher_states", "teacher_qkv")


def asked_beside(step: Train) -> tuple[str, ...]:
    """Fields of a step that ask the teacher while training, or let it write."""
    is_set = {
        "rollouts": step.rollouts is not None,
        "domains": step.domains is not None,
        "selection": step.selection is not None,
        "watch.perplexities_by": step.watch is not None and step.watch.perplexities_by is not None,
    }
    return tuple(field for field, asks in is_set.items() if asks)


def inner_signals(term: Term) -> str:
    """The inner layers of a teacher that a term reads, in words; empty if none."""
    return " and ".join(name for name in term.signals if name in _INNER)
