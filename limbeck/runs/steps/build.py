"""`build`: make a student once, so that several trainings start from the same weights."""

from typing import Any

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
from limbeck.runs.models import kept_layers
from limbeck.runs.steps.work import MODEL, Made, Work
from limbeck.students import fresh, keep_layers


def build(step: Build, work: Work) -> Made:
    """Write `model/` into the step's folder."""
    if ranks.is_main():
        place = work.model_place(step.student.origin)
        model = make_student(step.student, place, kind_of(read_config(place)), seed=step.seed)
        save_model(model, load_tokenizer(place), work.folder / MODEL)
        notes = (f"{count_parameters(model):,} parameters.",)
    ranks.wait()
    return Made(notes=notes if ranks.is_main() else ())


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
