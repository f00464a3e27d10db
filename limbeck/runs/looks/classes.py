"""The classes of a step, from labels and heads."""

from limbeck.core.class_names import agreed_classes
from limbeck.recipes.steps import Evaluate, Train
from limbeck.runs.heads import assumed_order, labels_of, read_heads
from limbeck.runs.looks.look import Look


def classes_of(at: Look, step: Train | Evaluate) -> tuple[str, ...]:
    """The classes in the order of their scores; says where an order is assumed."""
    out = step.rows.partition(".")[0]
    labels = labels_of([part for name, part in at.rows.items() if name.partition(".")[0] == out])
    models = at.seen.models
    heads = {word: models[word].classes for word in read_heads(step) if word in models}
    names = agreed_classes(labels, heads)
    at.note(*assumed_order(labels, heads))
    return names
