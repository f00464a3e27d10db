"""`build`: make a student once, so that several trainings start from the same weights."""

from collections.abc import Iterator
from typing import Any

from limbeck.core.batch import Batch
from limbeck.core.models import (
    ModelKind,
    count_parameters,
    kind_of,
    load_model,
    load_tokenizer,
    read_config,
    save_model,
)
from limbeck.core.seeds import seed_everything
from limbeck.recipes.model import Build
from limbeck.recipes.parts import Student
from limbeck.runs import ranks
from limbeck.runs.models import kept_layers, pruned_sizes
from limbeck.runs.sources import ENTRIES, calibration_source
from limbeck.runs.steps.work import MODEL, Made, Work
from limbeck.students import fresh, keep_layers, measure_importance, prune


def build(step: Build, work: Work) -> Made:
    """Write `model/` into the step's folder."""
    if ranks.is_main():
        place = work.model_place(step.student.origin)
        kind = kind_of(read_config(place))
        if step.student.prune is None:
            model = make_student(step.student, place, kind, seed=step.seed)
        else:
            model = _pruned(step, work)
        save_model(model, load_tokenizer(place), work.folder / MODEL)
        notes = (f"{count_parameters(model):,} parameters.",)
    ranks.wait()
    return Made(notes=notes if ranks.is_main() else ())


def _pruned(step: Build, work: Work) -> Any:
    assert step.rows is not None, "checked with the recipe"
    word = step.student.origin
    model = work.load_model(word, "causal")
    source, entries = calibration_source(work.rows(step.rows), step, work.load_tokenizer(word))
    batches = [entries[start : start + ENTRIES] for start in range(0, len(entries), ENTRIES)]

    def read() -> Iterator[Batch]:
        for place, batch in enumerate(batches):
            work.advance(place / len(batches), "reading rows to prune by")
            yield source.batch(batch)

    importance = measure_importance(model, read(), by=step.student.importance or "gradient")
    return prune(model, importance, pruned_sizes(step.student, model.config))


def make_student(
    student: Student, place: str, kind: ModelKind, *, seed: int, label_names: tuple[str, ...] = ()
) -> Any:
    """The model that `student` describes, from the model at `place`."""
    if student.fresh is not None:
        return fresh(place, student.sizes, seed=seed, kind=kind)
    seed_everything(seed, "head")  # a class head that the folder lacks is drawn at loading
    names = label_names if kind == "classifier" else None
    model = load_model(place, kind, label_names=names or None)
    if student.cut is None:
        return model
    keep, decoder_keep = kept_layers(student, model.config)
    return keep_layers(model, keep, decoder_keep=decoder_keep)
