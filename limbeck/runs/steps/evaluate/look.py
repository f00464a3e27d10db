"""`evaluate`: models that can be compared, metrics that fit them, rows that they can read."""

from collections.abc import Mapping

from limbeck.core.errors import ConfigError
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.measures import metrics_of
from limbeck.evaluation.prompts import check_prompts
from limbeck.recipes.steps import Evaluate
from limbeck.runs.assembly.answers import said_of_ends, said_of_prompts
from limbeck.runs.assembly.measured_teachers import said_of_store
from limbeck.runs.assembly.models import ModelInfo
from limbeck.runs.assembly.sources import heldout_source, rendering_of, size_of
from limbeck.runs.assembly.teachers.ensemble import check_route
from limbeck.runs.assembly.tokenizer_groups import TokenizerGroup, join, own_rendering, said_of
from limbeck.runs.checking.model_infos import check_positions, kind_used
from limbeck.runs.checking.views_planned import views_planned
from limbeck.runs.steps.look import Look


def look(at: Look, step: Evaluate) -> None:
    """Refuse what would stop the evaluation."""
    model = at.info(step.model, "model")
    baseline = None if step.baseline is None else at.info(step.baseline, "baseline")
    members = at.known.teachers(step, at.where)
    at.note(*said_of_store(step, at.earlier), *step.read_otherwise(at.earlier))
    if model is None:
        return
    kind = kind_used(step.model_kind, model)
    _check_metrics(at, step, kind)
    if "generation" in step.metrics and kind_named(kind).writes:
        at.seen.ends[at.place] = said_of_ends(at.known.tokenizer(model), model)
    compared = {"teacher": members.pop("teacher", None), "baseline": baseline}
    for path, member in members.items():
        with at.at(path):
            at.check_vocabulary(model, member)
    others = {name: shape for name, shape in compared.items() if shape is not None}
    apart = _other_tokens(at, model, others, kind)
    if step.rows in at.rows:
        _look_at_rows(at, step, model, kind, others, apart, members)


def _check_metrics(at: Look, step: Evaluate, kind: KindName) -> None:
    for number, metric in enumerate(step.metrics):
        if metric not in metrics_of(kind):
            fitting = ", ".join(metrics_of(kind))
            at.seen.problems.note(
                ConfigError(f"must be {fitting} for models of kind {kind}, got {metric}. Leave it out."),
                f"{at.where}.metrics.{number}",
            )


def _other_tokens(
    at: Look, model: ModelInfo, others: Mapping[str, ModelInfo], kind: KindName
) -> dict[str, ModelInfo]:
    """Of the models that `model` is compared with, those that read other tokens; says who they are."""
    groups = [TokenizerGroup(at.known.tokenizer(model), {"model": model.vocabulary})]
    for name, other in others.items():
        with at.at(name):
            if kind_named(kind).writes:
                join(groups, name, at.known.tokenizer(other), other.vocabulary)
            else:
                at.check_vocabulary(model, other)
    at.seen.vocabularies[at.place] = said_of(groups)
    return {name: others[name] for group in groups[1:] for name in group.columns}


def _look_at_rows(
    at: Look,
    step: Evaluate,
    model: ModelInfo,
    kind: KindName,
    others: Mapping[str, ModelInfo],
    apart: Mapping[str, ModelInfo],
    members: Mapping[str, ModelInfo],
) -> None:
    rendering = rendering_of(
        step,
        kind,
        task=step.measured_task(at.earlier, at.rows[step.rows].column_names),
        label_names=at.classes(step) if kind_named(kind).has_classes else (),
    )
    rendered = at.render(step.rows, model, rendering)
    teacher = None if "teacher" in apart else others.get("teacher")
    check_positions(rendered, model, teacher, *members.values())
    for name, other in apart.items():
        with at.at(name):
            at.render(step.rows, other, own_rendering(rendering, other.positions))
    views = views_planned(step, at.where, at.reading(step.rows, model, rendering), at.known, at.earlier)
    at.note(*(view.note for view in views.values()))
    if "generation" in step.metrics and kind_named(kind).decoder_only:
        with at.at("metrics"):
            check_prompts(rendered["input_ids"])
    with at.at("teacher.route"):
        check_route(step.teacher, at.rows[step.rows])
    source = heldout_source(rendered, rendering, at.known.tokenizer(model), model.config)
    at.seen.entries[at.place] = size_of(source)
    if "generation" in step.metrics and kind_named(kind).writes:
        with at.at():
            ids = at.rows[step.rows]["id"]
            at.note(*said_of_prompts(step, kind, source, ids, model, *others.values()))
