"""The names of a classifier's classes: whose order counts, and which class a label means.

The scores of a tuned head keep the order they were trained in, so its `id2label` decides, not the
order in which the rows name their labels.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from limbeck.core.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_UNNAMED = re.compile(r"(?:LABEL_)?(\d+)", re.IGNORECASE)  # transformers' own names where nobody gave any
_SEAMS = re.compile(r"(?<=\w)[\s_-]+(?=\w)")
_HEAD = "ForSequenceClassification"


def own_class_names(config: "PreTrainedConfig") -> tuple[str, ...]:
    """The classes of a tuned head in the order of its scores; empty for a model without one."""
    if not any(name.endswith(_HEAD) for name in config.architectures or ()):
        return ()
    return tuple(str(config.id2label[number]) for number in sorted(config.id2label))


def name_classes(config: "PreTrainedConfig", names: Sequence[str]) -> None:
    """Let the head that `config` describes score these classes, in this order."""
    config.id2label = dict(enumerate(names))
    config.label2id = {name: place for place, name in enumerate(names)}


def folded(name: str) -> str:
    """A name as it is compared: without case, blanks around it, and the kind of seam between its words."""
    return _SEAMS.sub(" ", str(name).strip()).casefold()


def are_unnamed(names: Sequence[str]) -> bool:
    """Whether the names are the numbers of the classes (`LABEL_0`, `1`), so that they name nothing."""
    return all(_number(name) == place for place, name in enumerate(names))


def same_classes(first: Sequence[str], second: Sequence[str]) -> bool:
    """Whether two heads score the same classes in the same order, as far as their names say."""
    if len(first) != len(second):
        return False
    if are_unnamed(first) or are_unnamed(second):
        return True
    return [folded(name) for name in first] == [folded(name) for name in second]


def class_of(label: str, names: Sequence[str]) -> int | None:
    """The class that a label means: the one of its name, else of its number where no name is a number."""
    if label in names:
        return list(names).index(label)
    found = [place for place, name in enumerate(names) if folded(name) == folded(label)]
    if found:
        return found[0] if len(found) == 1 else None
    number = _number(label)
    counts = number is not None and number < len(names)
    return number if counts and not any(_number(name) is not None for name in names) else None


def agreed_classes(labels: Sequence[str], heads: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The classes in the order of their scores, for rows and all models that read them.

    Args:
        labels: of the rows, in the order of the data.
        heads: model -> the names of its tuned head (`own_class_names`); models without one are left out.

    Returns:
        The names of the heads, where one has names; without any, the labels.

    Raises:
        ModelError: two heads, or a head and the labels, name other classes or another order.
    """
    tuned = {model: tuple(names) for model, names in heads.items() if names}
    first = next((model for model, names in tuned.items() if not are_unnamed(names)), next(iter(tuned), ""))
    for model, names in tuned.items():
        if not same_classes(tuned[first], names):
            raise ModelError(
                "tuned classifiers must have the same classes in the same order, got "
                f"{listed(tuned[first])} in {first} and {listed(names)} in {model}. "
                "Take models of one order, or start from a model without a class head."
            )
    if not tuned or not labels:
        return tuple(labels) or tuned.get(first, ())
    names = tuned[first]
    if are_unnamed(names):
        return _numbered(labels, names, first)
    lost = [label for label in labels if class_of(label, names) is None]
    if lost:
        raise ModelError(
            f"labels of the rows must be classes of {first}, {listed(names)}, got {listed(labels)}; "
            f"it has no {', '.join(lost)}. Give the labels its names, or start from a model without a "
            "class head."
        )
    return names


def listed(names: Sequence[str]) -> str:
    """Classes with their numbers, as `id2label` has them: `0: negative, 1: positive`."""
    return ", ".join(f"{place}: {name}" for place, name in enumerate(names))


def _numbered(labels: Sequence[str], names: Sequence[str], model: str) -> tuple[str, ...]:
    """Classes of a head without names: by the labels' numbers, else in the labels' order."""
    numbers = [_number(label) for label in labels]
    if all(number is not None and number < len(names) for number in numbers):
        known = dict(zip(numbers, labels, strict=True))
        return tuple(known.get(place, name) for place, name in enumerate(names))
    if len(labels) != len(names):
        raise ModelError(
            f"a classifier must have one class for each label of the rows, {len(labels)} "
            f"({', '.join(labels)}), got {len(names)} classes in {model}. "
            "Start from a model without a class head."
        )
    return tuple(labels)


def _number(name: str) -> int | None:
    found = _UNNAMED.fullmatch(name.strip())
    return int(found[1]) if found else None
