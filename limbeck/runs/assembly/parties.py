"""Who is trained in a train step: the student, and the models that the step trains beside it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from limbeck.core.batch import Batch
from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.models import count_parameters, pad_with, read_config, save_model, saved_dtype
from limbeck.core.needs import Needs
from limbeck.core.outputs import Outputs
from limbeck.core.seeds import derived_seed
from limbeck.core.training import TrainingSettings
from limbeck.core.transform import Ask, Transform
from limbeck.engine.party import Answer, Party
from limbeck.objectives.criterion import Criterion
from limbeck.recipes.steps import Train
from limbeck.runs.assembly.learning_rates import peak_rate
from limbeck.runs.assembly.models import exported_dtype, with_adapters
from limbeck.runs.assembly.routers import router_term
from limbeck.runs.assembly.students import make_student
from limbeck.runs.assembly.students.making import Making
from limbeck.runs.assembly.terms import build_terms
from limbeck.runs.assembly.transforms.training import Training, read_at_rest
from limbeck.runs.assembly.views import answered_only, views_in
from limbeck.runs.steps.context import StepContext
from limbeck.teachers.protocol import Teacher

PARTIES = "parties"
"""Folder of what was trained beside the student, by name."""


@dataclass(frozen=True)
class PartyModel:
    """A model that is trained beside the student.

    Attributes:
        name: of the party.
        step: the train step that would train it as the student.
        every: of so many steps it learns in one.
        asks_student: whether its terms read the student in the teacher's place.
        model: with its adapters, if it has some.
        parameters: of it, adapters left out.
        place: folder or id that it was made from.
    """

    name: str
    step: Train
    every: int
    asks_student: bool
    model: Any
    parameters: int
    place: str


def load_party_models(
    step: Train, work: StepContext, kind: KindName, names: tuple[str, ...], pad: int
) -> list[PartyModel]:
    """The models that a step trains beside its student, on the step's device."""
    found = []
    for name, party in step.parties.items():
        own, place = party.step(name, step), work.model_place(party.model.origin)
        model = make_student(party.model, Making(place, kind, own.seed, names))
        if kind_named(kind).has_classes:
            pad_with(model, pad)
        size = count_parameters(model.to(work.device))
        trained, asks_student = adapted(model, own), party.teacher == "student"
        found.append(PartyModel(name, own, party.turn.every, asks_student, trained, size, place))
    return found


def make_parties(
    models: Sequence[PartyModel], training: Training, transforms: Sequence[Transform]
) -> list[Party]:
    """The parties of these models, with their terms and whom they ask."""

    def ask_student(batch: Batch, needs: Needs) -> Outputs:
        return read_at_rest(training.student, training.reader, batch, needs)

    parties = []
    kind, vocabulary = training.rendering.model_kind, training.reader.vocabulary
    for one in models:
        reader = ForwardModel(one.model, vocabulary).probe()
        teacher = None if one.asks_student else training.teacher
        width = width_of(training.student if one.asks_student else getattr(teacher, "model", None))
        criterion = criterion_of(one.step, reader, teacher, teacher_width=width)
        ask = None if teacher is None else teacher.answer
        settings = settings_of(one.step, peak_rate(one.step, kind, one.parameters))
        answer = asking(ask_student if one.asks_student else ask, criterion, transforms)
        parties.append(
            Party(one.name, one.model, reader, criterion, settings, answer, turn=_Every(one.every))
        )
    return parties


def save_parties(models: Sequence[PartyModel], tokenizer: Any, folder: Path) -> tuple[str, ...]:
    """Write each into a folder of its own; sentences on them."""
    said = []
    for one in models:
        dtype = exported_dtype(one.step.student, saved_dtype(read_config(one.place)))
        save_model(one.model, tokenizer, folder / PARTIES / one.name, dtype=dtype)
        said.append(f"{one.name}: {one.parameters:,} parameters, trained beside, in {PARTIES}/{one.name}.")
    return tuple(said)


# What the student and those beside it have in common.


def adapted(model: Any, step: Train) -> Any:
    """The model with the adapters that a step asks for, if any."""
    if not step.lora_r:
        return model
    with torch.random.fork_rng():
        torch.manual_seed(derived_seed(step.seed, "lora"))
        return with_adapters(model, step)


def criterion_of(
    step: Train, reader: ForwardModel, teacher: Teacher | None, *, teacher_width: int | None
) -> Criterion:
    """The terms of a step over its model, the balance of its routers among them."""
    partly = any(one.rows.unanswered for one in views_in(teacher))
    terms = build_terms(
        answered_only(step.objective) if partly else step.objective,
        student_width=width_of(reader.plain),
        teacher_width=teacher_width,
        seed=step.seed,
    )
    balance = router_term(step.router_aux_loss_coef, reader.plain)
    return Criterion(terms if balance is None else [*terms, balance], fused=step.fused)


def asking(ask: Ask | None, criterion: Criterion, transforms: Sequence[Transform]) -> Answer | None:
    """A teacher as the transforms of the batches have it asked; None where no term reads one."""
    needs = criterion.teacher_needs
    if ask is None or not needs:
        return None
    asked: Ask = ask
    for one in transforms:
        asked = one.asking(asked)
    return lambda batch: asked(batch, needs)


def settings_of(step: Train, rate: float) -> TrainingSettings:
    """How the engine trains the model of a step, at this peak learning rate."""
    values = {name: getattr(step, name) for name in TrainingSettings.model_fields}
    return TrainingSettings(**values | {"learning_rate": rate})


def width_of(model: Any) -> int | None:
    """Size of a model's hidden states; None without a model (a store, several teachers)."""
    return None if model is None else int(model.config.get_text_config().hidden_size)


@dataclass(frozen=True)
class _Every:
    steps: int

    def __call__(self, step: int) -> bool:
        return step % self.steps == 0
