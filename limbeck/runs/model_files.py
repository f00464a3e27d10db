"""The weights of a recipe's models at the outset: whole, fitting, not too large; and how they are read."""

from collections.abc import Iterator

import psutil
import torch

from limbeck.core.errors import ModelError, Problem, ResourceError
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.model_words import model_word
from limbeck.core.models import said_dtype, text_part_note
from limbeck.core.models.config import raw_config, skeleton
from limbeck.recipes.steps import Build, Capture, Evaluate, Generate, Step, Train
from limbeck.recipes.steps.step import maker
from limbeck.runs.known import KnownModels, kind_used
from limbeck.runs.models import Shape, exported_dtype, loaded_dtype, located, trained_dtype, with_adapters
from limbeck.students import said_of_lora

_NEW = "student.fresh"  # needs a configuration, no weights


def check_models(step: Step, where: str, earlier: tuple[Step, ...], known: KnownModels) -> None:
    """Note what is wrong with the files of the models that a step loads from disk, and with their sizes.

    Args:
        step: to look at.
        where: it is, for messages.
        earlier: the steps before it, whose models have no files yet.
        known: the models' shapes.
    """
    for path, word in step.named("model").items():
        shape = known.shapes.get(word)
        if maker(word, earlier) is not None or shape is None:
            continue
        field = "student" if path.startswith("student.") else path
        with known.problems.at(f"{where}.{field}"):
            _check_memory(shape, word, path)
            kind = _kind_of(step, known)
            if path != _NEW and kind is not None:
                known.check_weights(word, kind, _classes(step, known, kind))


def check_lora(step: Step, where: str, known: KnownModels) -> list[str]:
    """A sentence on what LoRA trains of a step's student; what is wrong with its layers is noted."""
    shape = known.shapes.get(step.out)
    if not isinstance(step, Train) or not step.lora_r or shape is None or shape.kind is None:
        return []
    with known.problems.at(f"{where}.lora_target_modules"):
        return [said_of_lora(with_adapters(skeleton(shape.config, shape.kind), step), r=step.lora_r)]
    return []


def notes_on_models(step: Step, earlier: tuple[Step, ...], known: KnownModels) -> Iterator[str]:
    """Sentences on the dtypes of a step's models, and on those of which a part alone is read."""
    words = step.named("model")
    for word in dict.fromkeys(words.values()):
        if maker(word, earlier) is None and word in known.shapes:
            note = text_part_note(raw_config(located(word)))
            if note is not None:
                yield f"{model_word(word).place}: {note}"
    if isinstance(step, Build | Train):
        shape = known.shapes.get(step.out)
        if shape is not None:
            trained, saved = trained_dtype(step.student, shape), exported_dtype(step.student, shape.saved)
            verb = "trained" if isinstance(step, Train) else "made"
            if (trained, saved) != (torch.float32, torch.float32):
                yield f"The student is {verb} in {said_dtype(trained)} and saved in {said_dtype(saved)}."
    read = {
        said_dtype(loaded_dtype(word, known.shapes[word]))
        for path, word in words.items()
        if not path.startswith("student.") and word in known.shapes
    }
    if read - {"float32"}:
        whose = "Models are" if isinstance(step, Evaluate) else "Teachers are"
        yield f"{whose} read in {' and '.join(sorted(read))}."


def _check_memory(shape: Shape, word: str, path: str) -> None:
    is_student = path.startswith("student.")
    dtype = torch.float32 if is_student and not model_word(word).dtype else loaded_dtype(word, shape)
    there = psutil.virtual_memory().total
    if torch.cuda.is_available():
        there = max(there, torch.cuda.get_device_properties(0).total_memory)
    needed = shape.parameters * dtype.itemsize
    if path != _NEW and needed > there:
        raise ResourceError(
            Problem(
                "",
                f"memory must hold {shape.name}, {needed / 1e9:,.0f} GB in {said_dtype(dtype)}, "
                f"got {there / 1e9:,.0f} GB. Take a smaller model, or another machine.",
            )
        )


def _kind_of(step: Step, known: KnownModels) -> KindName | None:
    """What the models of a step are loaded as."""
    if isinstance(step, Build | Train):
        first = known.shapes.get(step.student.origin)
    elif isinstance(step, Generate | Capture):
        first = known.shapes.get(step.teacher.word)
    else:
        first = known.shapes.get(step.model) if isinstance(step, Evaluate) else None
    if first is None:
        return None
    try:
        return kind_used(getattr(step, "model_kind", "auto"), first)
    except ModelError:
        return None


def _classes(step: Step, known: KnownModels, kind: KindName) -> int | None:
    if not kind_named(kind).has_classes:
        return None
    made = known.shapes.get(step.out) if isinstance(step, Train) else None
    return len(made.classes) or None if made is not None else None
