"""The weights of a recipe's models at the outset: whole, fitting, not too large; and how they are read."""

from collections.abc import Iterator, Mapping

import psutil
import torch

from limbeck.core.errors import ModelError, Problem, ResourceError
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.model_words import model_word
from limbeck.core.models import said_dtype, text_part_note
from limbeck.core.models.config import raw_config
from limbeck.recipes.steps import Step
from limbeck.recipes.steps.step import maker
from limbeck.runs.assembly.models import ModelInfo, loaded_dtype, located
from limbeck.runs.checking.model_infos import ModelInfos, kind_used

_NEW = ".fresh"  # needs a configuration, no weights
_TRAINED = ("student.", "parties.")


def check_models(step: Step, where: str, earlier: tuple[Step, ...], known: ModelInfos) -> None:
    """Note what is wrong with the files of the models that a step loads from disk, and with their sizes.

    Args:
        step: to look at.
        where: it is, for messages.
        earlier: the steps before it, whose models have no files yet.
        known: the models' shapes.
    """
    words = step.named("model")
    for path, word in words.items():
        shape = known.infos.get(word)
        if maker(word, earlier) is not None or shape is None:
            continue
        field = "student" if path.startswith("student.") else path
        with known.problems.at(f"{where}.{field}"):
            _check_memory(shape, word, path)
            kind = _kind_of(words, step, known)
            if not path.endswith(_NEW) and kind is not None:
                known.check_weights(word, kind, _classes(step, known, kind))


def notes_on_models(step: Step, earlier: tuple[Step, ...], known: ModelInfos) -> Iterator[str]:
    """Sentences on models of which a part alone is read, and on the dtypes of those that are only read."""
    words = step.named("model")
    for word in dict.fromkeys(words.values()):
        if maker(word, earlier) is None and word in known.infos:
            note = text_part_note(raw_config(located(word)))
            if note is not None:
                yield f"{model_word(word).place}: {note}"
    words_read = {path: word for path, word in words.items() if not path.startswith(_TRAINED)}
    read = {
        said_dtype(loaded_dtype(word, known.infos[word]))
        for word in words_read.values()
        if word in known.infos
    }
    if read - {"float32"}:
        whose = "Teachers are" if all(path.startswith("teacher.") for path in words_read) else "Models are"
        yield f"{whose} read in {' and '.join(sorted(read))}."


def _check_memory(shape: ModelInfo, word: str, path: str) -> None:
    is_trained = path.startswith(_TRAINED)
    dtype = torch.float32 if is_trained and not model_word(word).dtype else loaded_dtype(word, shape)
    there = psutil.virtual_memory().total
    if torch.cuda.is_available():
        there = max(there, torch.cuda.get_device_properties(0).total_memory)
    needed = shape.parameters * dtype.itemsize
    if not path.endswith(_NEW) and needed > there:
        raise ResourceError(
            Problem(
                "",
                f"memory must hold {shape.name}, {needed / 1e9:,.0f} GB in {said_dtype(dtype)}, "
                f"got {there / 1e9:,.0f} GB. Take a smaller model, or another machine.",
            )
        )


def _kind_of(words: Mapping[str, str], step: Step, known: ModelInfos) -> KindName | None:
    """What the models of a step are loaded as: what it says, or what the first one is."""
    first = known.infos.get(next(iter(words.values())))
    try:
        return None if first is None else kind_used(getattr(step, "model_kind", "auto"), first)
    except ModelError:
        return None


def _classes(step: Step, known: ModelInfos, kind: KindName) -> int | None:
    made = known.infos.get(step.out) if kind_named(kind).has_classes and step.makes == "model" else None
    return len(made.classes) or None if made is not None else None
