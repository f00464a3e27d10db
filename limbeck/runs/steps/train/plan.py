"""`train` in numbers."""

from collections.abc import Iterator, Mapping

from limbeck.core.rollouts import RolloutSettings
from limbeck.engine.order import steps_of
from limbeck.recipes.parties import TrainedParty
from limbeck.recipes.steps import Train
from limbeck.runs import ranks
from limbeck.runs.assembly.learning_rates import note_of_rate
from limbeck.runs.assembly.models import ModelInfo, exported_dtype, trained_dtype
from limbeck.runs.assembly.rollouts import written_by
from limbeck.runs.assembly.routers import router_weight
from limbeck.runs.checking.planned import (
    ADAM,
    BACKWARD,
    FLOAT,
    FORWARD,
    WRITING,
    PlannedStep,
    notes_of_step,
    read_bytes,
    taught_by,
    training_memory,
)
from limbeck.runs.checking.rates import Rates
from limbeck.runs.steps.look import Survey

_CHECKPOINTS = 2  # the old one lies there until the new one is whole


def plan(step: Train, place: int, seen: Survey, rates: Rates) -> PlannedStep:
    """The step in numbers."""
    student = seen.models.get(step.out)
    teachers = [seen.models.get(word) for word in taught_by(step)]
    objective = " + ".join(f"{_weight(term.weight)}{term.name}" for term in step.objective)
    what = f"{objective} on {step.rows}"
    notes = notes_of_step(place, seen)
    if student is None:
        return PlannedStep(place, step.kind, step.out, what, notes=notes)
    kind = student.kind if step.model_kind == "auto" else step.model_kind
    notes += tuple(filter(None, [kind and note_of_rate(step, kind, student.parameters)]))
    entries, tokens_once = seen.entries.get(place, (0, 0))
    count = ranks.count()
    steps = steps_of(step, entries, count) if entries or step.max_steps > 0 else None
    in_one = step.per_device_train_batch_size * step.gradient_accumulation_steps * count
    tokens = None
    if steps is not None and entries:
        # Written rows take the place of the data's; beside them, there are about twice as many tokens.
        sides = 2 if step.corpus or (step.rollouts and step.rollouts.beside) else 1
        tokens = round(steps * in_one * tokens_once / entries) * sides
    size, taught = student.parameters, sum(shape.parameters for shape in teachers if shape)
    length = step.max_length
    learning = rates.effective(student, length)
    teaching = sum(rates.effective(shape, length) for shape in teachers if shape)
    work: float | None = None
    if tokens is not None:
        work = ((FORWARD + BACKWARD) * learning + FORWARD * teaching) * tokens
        cut = in_one > step.per_device_train_batch_size
        if cut and router_weight(step.router_aux_loss_coef, student.config):
            work += FORWARD * learning * tokens  # where tokens are routed is counted first
    batch = step.per_device_train_batch_size * step.max_length
    memory = training_memory(student, trained_dtype(step.student, student), batch)
    disk = exported_dtype(step.student, student.saved).itemsize * size
    weights = size
    for name, party, shape in _parties(step, seen):
        asked = learning if party.teacher == "student" else teaching
        cost = (FORWARD + BACKWARD) * rates.effective(shape, length) + FORWARD * asked
        work = None if work is None or tokens is None else work + cost * tokens / party.turn.every
        memory += training_memory(shape, trained_dtype(party.model, shape), batch)
        disk += exported_dtype(party.model, shape.saved).itemsize * shape.parameters
        weights += shape.parameters
        notes += (f"{name}: {shape.parameters:,} parameters, trained beside the student.",)
    if step.rollouts is not None and steps is not None:
        written = written_by(step.rollouts, steps=steps, rows=in_one)
        work = (work or 0.0) + _rollout_work(step.rollouts, written, learning, teaching)
        notes += (_rollout_note(written),)
    return PlannedStep(
        place,
        step.kind,
        step.out,
        what,
        parameters=size,
        teacher_parameters=taught or None,
        optimizer_steps=steps,
        tokens=tokens,
        memory=memory + read_bytes(taught_by(step), seen),
        disk=disk,
        scratch=weights * FLOAT * (1 + ADAM) * _CHECKPOINTS,
        seconds=None if work is None else work / (rates.operations * count),
        notes=notes,
    )


def _parties(step: Train, seen: Survey) -> Iterator[tuple[str, TrainedParty, ModelInfo]]:
    """What is trained beside the student, as far as its shape is known."""
    for name, party in step.parties.items():
        shape = seen.models.get(party.step(name, step).out)
        if shape is not None:
            yield name, party, shape


def _rollout_work(rollouts: RolloutSettings, written: Mapping[str, int], size: float, taught: float) -> float:
    """Operations beyond the step's own: completions as long as they may be, and passes that judge them."""
    writer = size + (taught if rollouts.guide_share else 0)
    work = float(WRITING * (writer * written["student"] + taught * written["teacher"]))
    # A correction reads all and writes half anew; advantages read all once.
    work += rollouts.corrections * (FORWARD * (size + taught) + WRITING * size / 2) * written["student"]
    if rollouts.advantages is not None:
        work += FORWARD * (size + taught) * written["student"]
    return work


def _rollout_note(written: Mapping[str, int]) -> str:
    parts = [f"{count:,} tokens by the {name}" for name, count in written.items() if count]
    return f"Rollouts generate at most {' and '.join(parts)}; this is part of the time."


def _weight(weight: object) -> str:
    return "" if weight == 1 else "scheduled " if isinstance(weight, dict) else f"{weight:g} "
