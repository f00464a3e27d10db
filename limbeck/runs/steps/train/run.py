"""`train`: student, terms, rows and teacher put together and handed to the engine."""

from collections.abc import Callable
from typing import Any

from datasets import Dataset

from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import kind_named
from limbeck.core.models import (
    count_parameters,
    load_tokenizer,
    pad_with,
    read_config,
    said_dtype,
    save_model,
    saved_dtype,
)
from limbeck.core.positions import positions_of
from limbeck.engine import Party, StepReport
from limbeck.engine import train as run_engine
from limbeck.recipes.steps import Train
from limbeck.recipes.steps.step import maker
from limbeck.rows.packable import reads_packs
from limbeck.rows.preview import previews, totals
from limbeck.rows.render import notes_of
from limbeck.runs import ranks
from limbeck.runs.assembly.chance import refuse_below_chance
from limbeck.runs.assembly.cross_tokenizer import ids_of, make_cross_tokenizer_teacher, read_twice
from limbeck.runs.assembly.learning_rates import note_of_rate, peak_rate
from limbeck.runs.assembly.models import exported_dtype, tokenizer_of
from limbeck.runs.assembly.parties import (
    adapted,
    asking,
    criterion_of,
    load_party_models,
    make_parties,
    save_parties,
    settings_of,
    width_of,
)
from limbeck.runs.assembly.routers import said_of_routers
from limbeck.runs.assembly.sources import rendering_of, training_source
from limbeck.runs.assembly.students import make_student
from limbeck.runs.assembly.students.making import Making
from limbeck.runs.assembly.teachers import make_teacher
from limbeck.runs.assembly.teachers.opened import Taught
from limbeck.runs.assembly.transforms import make_transforms
from limbeck.runs.assembly.transforms.domains import domains_of
from limbeck.runs.assembly.transforms.training import Training
from limbeck.runs.assembly.validation import make_validator
from limbeck.runs.assembly.views import Reading
from limbeck.runs.record.versions import RunMetrics
from limbeck.runs.steps.context import MODEL, StepContext, StepResult
from limbeck.students import said_of_lora
from limbeck.teachers import live_models
from limbeck.teachers.protocol import Teacher

VERSION = 5
"""Raised when the same step makes other students: what an earlier limbeck made is then made anew."""


def run(step: Train, work: StepContext) -> StepResult:
    """Train, then write `model/`; `checkpoint/` and `metrics.jsonl` lie beside it meanwhile."""
    origin = step.student.origin
    kind = work.kind(step.model_kind, origin)
    names = work.classes(step) if kind_named(kind).has_classes else ()
    tokenizer = tokenizer_of(step.student, work.model_place(origin))
    rendering = rendering_of(step, kind, task=step.task, label_names=names)
    pair = None
    if step.teacher is not None and step.reads_other_tokens:
        other = work.model_place(step.teacher.word)
        reading = Reading(step.rows, work.rows(step.rows), tokenizer, rendering, work.renderer)
        pair = read_twice(step, reading, load_tokenizer(other), positions_of(read_config(other)))
    rendered = (
        work.renderer.render(step.rows, work.rows(step.rows), tokenizer, rendering)
        if pair is None
        else pair.student
    )
    notes = list(notes_of(rendered))
    saved = saved_dtype(read_config(work.model_place(origin)))
    dtype = exported_dtype(step.student, saved)
    student = make_student(step.student, Making(work.model_place(origin), kind, step.seed, names))
    if kind_named(kind).has_classes:
        pad_with(student, int(tokenizer.pad_token_id))
    student.to(work.device)
    teacher: Teacher | None
    if pair is not None:
        teacher = make_cross_tokenizer_teacher(step, work, tokenizer, pair.teacher, rendering)
        vocabulary: int | None = ids_of(tokenizer)
    else:
        taught = Taught(step, work, student, tokenizer, kind, names, rendered, rendering)
        teacher, vocabulary = make_teacher(taught)
    beside = load_party_models(step, work, kind, names, int(tokenizer.pad_token_id))
    settings, learning = step, [student, *(one.model for one in beside)]
    if step.packing and kind_named(kind).packs and not _keep_rows_apart(learning, teacher, len(tokenizer)):
        settings = step.model_copy(update={"packing": False})
        notes.append("Rows were padded: a model here does not keep packed rows apart.")
    domains = None
    if step.domains is not None:
        domains = domains_of(work.rows(step.rows), rendered, step.domains.column)
    source = training_source(rendered, rendering, settings, tokenizer, student.config, domains)
    if kind_named(kind).has_classes and _is_from_elsewhere(step, work):
        refuse_below_chance(teacher, source, names, work.device)
    size, trained = count_parameters(student), adapted(student, step)
    if step.lora_r:
        notes.append(said_of_lora(trained, r=step.lora_r))
    notes += [note for note in (note_of_rate(step, kind, size),) if note]
    reader = ForwardModel(trained, vocabulary).probe()
    width = width_of(getattr(teacher, "model", None))
    criterion = criterion_of(step, reader, teacher, teacher_width=width)
    balance = next((term for term in criterion.terms if term.regularises), None)
    if balance is not None:
        notes.append(said_of_routers(step.router_aux_loss_coef, reader.plain, balance))
    training = Training(settings, work, trained, reader, teacher, tokenizer, rendering, rendered, source)
    transforms = make_transforms(training)
    party = Party(
        "student",
        trained,
        reader,
        criterion,
        settings_of(settings, peak_rate(step, kind, size)),
        asking(None if teacher is None else teacher.answer, criterion, transforms),
        balance=step.balance,
    )
    result = run_engine(
        [party, *make_parties(beside, training, transforms)],
        source,
        folder=work.folder,
        transforms=transforms,
        validate=make_validator(training, criterion.terms),
        on_step=_telling(work),
    )
    for one in transforms:
        notes += one.finish(student)
    if ranks.is_main():
        save_model(trained, tokenizer, work.folder / MODEL, dtype=dtype)
        notes += save_parties(beside, tokenizer, work.folder)
    ranks.wait()
    notes.append(f"{result.steps:,} steps, {size:,} parameters, saved in {said_dtype(dtype)}.")
    is_fixed = kind_named(kind).scores_tokens and not kind_named(kind).draws
    example = _example(rendered, tokenizer) if is_fixed else None
    return StepResult(tokens=result.tokens, notes=tuple(notes), seconds=result.seconds, example=example)


def _example(rendered: Dataset, tokenizer: Any) -> dict[str, Any]:
    """The first row as the student reads it, and how many tokens of all rows are in the loss."""
    (first,), (tokens, learnt) = previews(rendered, tokenizer, 1), totals(rendered)
    return {
        "row_id": first.row_id,
        "tokens": first.tokens,
        "in_loss": first.in_loss,
        "parts": [list(one) for one in first.stretches],
        "all_tokens": tokens,
        "all_in_loss": learnt,
    }


def _keep_rows_apart(learning: list[Any], teacher: Teacher | None, vocabulary: int) -> bool:
    # A store was captured from padded rows.
    # A teacher with another tokenizer reads padded rows, too.
    return all(reads_packs(model, vocabulary) for model in (*learning, *live_models(teacher)))


def _is_from_elsewhere(step: Train, work: StepContext) -> bool:
    """Whether the teachers came tuned; one that this recipe trains may be as bad as its settings."""
    words = () if step.teacher is None else step.teacher.models.values()
    return all(maker(word, work.earlier) is None for word in words)


def _telling(work: StepContext) -> Callable[[StepReport], None] | None:
    """Tells of each optimizer step, and brings it into the run's own `metrics.jsonl`."""
    if not ranks.is_main():
        return None
    steps = work.recipe.steps[: work.place + 1]
    metrics = RunMetrics(work.run.path, [(one, work.run.step(at, one)) for at, one in enumerate(steps)])

    def tell(report: StepReport) -> None:
        metrics.follow()
        work.progress.trained(work.stage, report)

    return tell
