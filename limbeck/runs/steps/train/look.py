"""`train`: models, terms, rows and teachers that go together."""

from collections.abc import Mapping
from dataclasses import replace

from datasets import Dataset

from limbeck.core.errors import ConfigError
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.models.config import skeleton
from limbeck.recipes.steps import Train
from limbeck.rows.rendering import Rendering
from limbeck.runs.assembly.answers import said_of_ends
from limbeck.runs.assembly.cross_tokenizer import read_twice
from limbeck.runs.assembly.models import ModelInfo, said_of_dtypes, with_adapters
from limbeck.runs.assembly.rollouts import check_rollouts, check_validation_answers
from limbeck.runs.assembly.routers import FIELD as ROUTERS
from limbeck.runs.assembly.routers import check_routers
from limbeck.runs.assembly.sources import rendering_of, size_of, training_source
from limbeck.runs.assembly.students import made_info
from limbeck.runs.assembly.teachers.ensemble import check_route
from limbeck.runs.assembly.terms import build_terms, check_layers, try_term
from limbeck.runs.assembly.transforms.domains import domain_problems
from limbeck.runs.checking.model_infos import check_positions, kind_used
from limbeck.runs.checking.trackers import check_trackers
from limbeck.runs.checking.views_planned import views_planned
from limbeck.runs.steps.look import Look
from limbeck.runs.steps.train.stores import look_at_stores, topk_stores
from limbeck.students import said_of_lora

_UNKNOWN_WIDTH = 5040  # divisible by any number of heads that occurs, for a trial without a model


def look(at: Look, step: Train) -> None:
    """Find the shape of the student; refuse what would stop the training."""
    with at.at():
        check_trackers(step.report_to)
    origin = at.info(step.student.origin, "student")
    teachers = at.known.teachers(step, at.where)
    if origin is None:
        _try_terms(at, step, None, teachers)
        return
    kind = kind_used(step.model_kind, origin)
    student = made_info(step.student, origin, kind)
    names = at.classes(step) if kind_named(kind).has_classes else ()
    student = replace(student, classes=names)
    at.seen.models[step.out] = student
    at.note(*said_of_dtypes(step.student, student, "trained"))
    _look_at_modules(at, step, student, kind)
    _try_terms(at, step, student, teachers, kind)
    if not step.reads_other_tokens:
        for path, shape in teachers.items():
            with at.at(path):
                at.check_vocabulary(student, shape)
    if step.rollouts is not None:
        at.seen.ends[at.place] = said_of_ends(at.known.tokenizer(student), student, *teachers.values())
    rendering = rendering_of(step, kind, task=step.task, label_names=names)
    rendered = None
    if step.rows in at.rows:
        rendered = _look_at_rows(at, step, student, teachers, rendering)
    _look_beside(at, step, student)
    _look_at_parties(at, step, student, teachers)
    views = {}
    if not step.reads_other_tokens and rendered is not None:
        reading = at.reading(step.rows, student, rendering)
        views = views_planned(step, at.where, reading, at.known, at.earlier)
        at.note(*(view.note for view in views.values()))
    look_at_stores(at, step, student, rendered, views)


def _look_at_modules(at: Look, step: Train, student: ModelInfo, kind: KindName) -> None:
    """What adapters and routers of the student do in the training."""
    if step.lora_r:
        with at.at("lora_target_modules"):
            at.note(said_of_lora(with_adapters(skeleton(student.config, kind), step), r=step.lora_r))
    with at.at(ROUTERS):
        at.note(*check_routers(step.router_aux_loss_coef, student, kind))


def _look_at_rows(
    at: Look, step: Train, student: ModelInfo, teachers: Mapping[str, ModelInfo], rendering: Rendering
) -> Dataset:
    """The rows as the student reads them."""
    kind, tokenizer = rendering.model_kind, at.known.tokenizer(student)
    if step.reads_other_tokens and teachers:
        teacher = next(iter(teachers.values()))
        reading = at.reading(step.rows, student, rendering)
        rendered = read_twice(step, reading, at.known.tokenizer(teacher), teacher.positions).student
        readers = [student]
    else:
        rendered = at.render(step.rows, student, rendering)
        readers = [student, *teachers.values()]
    with at.at():
        check_positions(rendered, *readers)
    with at.at():
        check_rollouts(step, kind, rendered, *(one.positions for one in (student, *teachers.values())))
    if step.validation is not None and step.validation.rows in at.rows:
        with at.at():
            validated = at.render(step.validation.rows, student, rendering)
            check_validation_answers(step, validated, student.positions)
    at.note_form(step.rows, kind, student, rendered)
    at.seen.entries[at.place] = size_of(training_source(rendered, rendering, step, tokenizer, student.config))
    with at.at("teacher.route"):
        check_route(step.teacher, at.rows[step.rows])
    return rendered


def _look_beside(at: Look, step: Train, student: ModelInfo) -> None:
    """Models and rows that the step reads beside its teacher."""
    if step.selection is not None and step.selection.other is not None:
        at.info(step.selection.other.word, "selection.other.model")
    for word in step.validation.distances.values() if step.validation else ():
        other = at.info(word, "validation.distances")
        if other is not None:
            with at.at("validation.distances"):
                at.check_vocabulary(student, other)
    for problem in domain_problems(step, at.rows):
        at.seen.problems.note(ConfigError(problem), at.where)


def _look_at_parties(at: Look, step: Train, student: ModelInfo, teachers: Mapping[str, ModelInfo]) -> None:
    """Models that are trained beside the student, and their terms."""
    for name, party in step.parties.items():
        own, path, kind = party.step(name, step), f"parties.{name}", student.kind
        origin = at.info(party.model.origin, f"{path}.model")
        if origin is None or kind is None:
            continue
        with at.at(f"{path}.model"):
            shape = replace(made_info(party.model, origin, kind), classes=student.classes)
            at.check_vocabulary(student, shape)
            if shape.vocabulary != student.vocabulary:
                raise ConfigError(
                    f"must have a head of {student.vocabulary:,} ids, as the student, got "
                    f"{shape.vocabulary:,}. Take a model with the same."
                )
            at.seen.models[own.out] = shape
            if own.lora_r:
                with_adapters(skeleton(shape.config, kind), own)
            asked = teachers if party.teacher == "teacher" else {"student": student}
            _try_terms(at, own, shape, asked, kind, f"{path}.")


def _try_terms(
    at: Look,
    step: Train,
    student: ModelInfo | None,
    teachers: Mapping[str, ModelInfo],
    kind: KindName | None = None,
    where: str = "",
) -> None:
    teacher = next(iter(teachers.values()), None)
    widths = [shape.width for shape in (student, teacher) if shape is not None] or [_UNKNOWN_WIDTH]
    built = build_terms(step.objective, student_width=widths[0], teacher_width=widths[-1])
    for number, term in enumerate(built):
        with at.at(f"{where}objective.{number}"):
            try_term(
                term,
                student_width=widths[0],
                teacher_width=widths[-1],
                stored=any(topk_stores(at, step).values()),
                by_row=kind_named(kind).has_classes,
            )
            for whose, shape in (("student", student), ("teacher", teacher)):
                if term.layers is not None and shape is not None:
                    check_layers(whose, getattr(term.layers, whose), shape.depth)
