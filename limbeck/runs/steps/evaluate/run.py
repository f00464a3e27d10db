"""`evaluate`: teacher, student and baseline on the same held-out rows; then report and model card."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch.nn import ModuleList

from limbeck.core.batch import Batch, Source
from limbeck.core.files import write_json
from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.model_words import model_word, place_of
from limbeck.core.needs import DISTRIBUTION, Needs
from limbeck.core.outputs import Outputs
from limbeck.core.positions import positions_of
from limbeck.evaluation.evaluate import evaluate as run_evaluation
from limbeck.evaluation.settings import EvaluatedModel, EvaluationSettings, Role
from limbeck.recipes.steps import Evaluate, Train
from limbeck.recipes.steps.step import maker
from limbeck.recipes.teachers import EnsembleTeacher as EnsemblePart
from limbeck.recipes.teachers import Teacher
from limbeck.rows.render import notes_of
from limbeck.runs import ranks
from limbeck.runs.assembly.chance import is_below_chance
from limbeck.runs.assembly.sources import heldout_source, measured_source, rendering_of
from limbeck.runs.assembly.teachers.ensemble import make_route
from limbeck.runs.assembly.tokenizer_groups import TokenizerGroup, join, own_rendering
from limbeck.runs.assembly.views import OwnView, Reading
from limbeck.runs.steps.context import BY_ROW, EVALUATION, StepContext, StepResult
from limbeck.runs.steps.load import said_of_overlap
from limbeck.teachers import EnsembleTeacher, LocalTeacher, Member, OwnViewTeacher

VERSION = 3
"""Raised when the same step makes other measures: what an earlier limbeck made is then made anew."""
_TEACHER, _STUDENT, _BASELINE = "teacher", "student", "baseline"


def run(step: Evaluate, work: StepContext) -> StepResult:
    """Write `evaluation.json`, and `rows.json` with the measures of single rows, into the step's folder."""
    made = _evaluate(step, work) if ranks.is_main() else StepResult()
    ranks.wait()
    return made


def _evaluate(step: Evaluate, work: StepContext) -> StepResult:
    kind = work.kind(step.model_kind, step.model)
    names = work.classes(step) if kind_named(kind).has_classes else ()
    rows, tokenizer = work.rows(step.rows), work.load_tokenizer(step.model)
    if step.limit is not None:
        rows = rows.select(range(min(step.limit, len(rows))))
    task = step.measured_task(work.earlier, rows.column_names)
    rendering = rendering_of(step, kind, task=task, label_names=names)
    name = step.rows if step.limit is None else f"{step.rows}[:{step.limit}]"
    rendered = work.renderer.render(name, rows, tokenizer, rendering)
    words = _words(step, work)
    pad = int(tokenizer.pad_token_id)
    models = {one: work.load_model(word, kind, names, pad=pad) for one, (_, word) in words.items()}
    groups, notes = _groups(words, models, work, kind, tokenizer), notes_of(rendered)
    first = models[_STUDENT].config
    source = measured_source(heldout_source(rendered, rendering, tokenizer, first), step, tokenizer)
    subjects = []
    for place, group in enumerate(groups):
        own = None
        if place:
            config = models[next(iter(group.columns))].config
            read = own_rendering(rendering, positions_of(config))
            there = work.renderer.render(name, rows, group.tokenizer, read)
            own = heldout_source(there, read, group.tokenizer, config)
            notes += [f"{' and '.join(group.columns)}: {note}" for note in notes_of(there)]
        vocabulary = group.vocabulary if kind_named(kind).scores_tokens else None
        subjects += [
            _subject(one, *words[one], models[one], group.tokenizer, vocabulary, own, work)
            for one in words
            if one in group.columns
        ]
    reading = Reading(name, rows, tokenizer, rendering, work.renderer)
    places = {one: word for one, (_, word) in words.items()}
    views = _views(step, places, subjects, reading, work)
    notes += [f"{one}: {view.note}" for one, view in views.items()]
    subjects = [_viewed(one, views.get(one.name), work.load_tokenizer(places[one.name])) for one in subjects]
    if isinstance(step.teacher, EnsemblePart):
        shared = groups[0].vocabulary if kind_named(kind).scores_tokens else None
        subjects.insert(0, _ensemble(step.teacher, rows, subjects, shared))
    result = run_evaluation(
        subjects,
        source=source,
        rows=rows.to_list(),
        settings=settings_of(step, kind, names),
        progress=lambda what, share: work.advance(share, what),
    )
    notes += _worse_than_chance(result, len(names))
    if step.rows.endswith(".heldout"):
        notes += said_of_overlap(work.rows(step.rows.replace(".heldout", ".train")), rows)
    write_json(work.folder / BY_ROW, result.pop("by_row"))
    write_json(work.folder / EVALUATION, result)
    tokens = sum(source.lengths)
    return StepResult(tokens=min(tokens, step.max_positions or tokens), notes=tuple(notes))


def _worse_than_chance(result: Mapping[str, Any], classes: int) -> list[str]:
    """A sentence for each classifier that does worse than guessing."""
    found = result["metrics"].get("classification", {}).get("subjects", {})
    accuracies = {name: measured["accuracy"] for name, measured in found.items() if "accuracy" in measured}
    return [
        f"{name} is worse than chance: {one['value']:.1%} right of {one['n']:,}, where guessing gives "
        f"{1 / classes:.1%}. Check `id2label` in its config.json against the labels of the rows."
        for name, one in accuracies.items()
        if one["n"] and is_below_chance(one["value"] * one["n"], one["n"], classes)
    ]


def settings_of(step: Evaluate, kind: KindName, label_names: tuple[str, ...]) -> EvaluationSettings:
    """The step in the words of the evaluation."""
    return EvaluationSettings(
        kind=kind,
        metrics=tuple(step.metrics),
        batch_size=step.batch_size,
        max_positions=step.max_positions,
        prompts=step.prompts,
        max_new_tokens=step.max_new_tokens,
        seed=step.seed,
        task=step.task,
        label_names=label_names,
    )


def _words(step: Evaluate, work: StepContext) -> dict[str, tuple[Role, str]]:
    """Name of each subject -> its role and its model's word; the student last."""
    words: dict[str, tuple[Role, str]] = {}
    if step.teacher is not None:
        words |= _teachers(step.teacher, step.baseline)
    if step.baseline is not None:
        words[_baseline_name(step.baseline, work)] = ("baseline", step.baseline)
    return words | {_STUDENT: ("student", step.model)}


def _teachers(teacher: Teacher, baseline: str | None) -> dict[str, tuple[Role, str]]:
    """The teacher, or the members of an ensemble under names that nobody else has."""
    if not isinstance(teacher, EnsemblePart):
        return {_TEACHER: ("teacher", teacher.word)}
    found: dict[str, tuple[Role, str]] = {}
    taken = {_TEACHER, _STUDENT, _BASELINE, baseline}
    for member in teacher.ensemble:
        base = name = Path(member.called).name
        number = 1
        while name in found or name in taken:
            number += 1
            name = f"{base}_{number}"
        found[name] = ("member", member.teacher.word)
    return found


def _groups(
    words: Mapping[str, tuple[Role, str]],
    models: Mapping[str, Any],
    work: StepContext,
    kind: KindName,
    tokenizer: Any,
) -> list[TokenizerGroup]:
    """Who reads in whose tokens; models that score no tokens all read in the student's."""
    columns = {name: model.config.get_text_config().vocab_size for name, model in models.items()}
    if not kind_named(kind).scores_tokens:
        return [TokenizerGroup(tokenizer, columns)]
    teachers = [name for name, (role, _) in words.items() if role in ("teacher", "member")]
    groups = [TokenizerGroup(tokenizer, {_STUDENT: columns.pop(_STUDENT)}, teachers=teachers)]
    for name, size in columns.items():
        join(groups, name, work.load_tokenizer(words[name][1]), size)
    return groups


def _subject(
    name: str,
    role: Role,
    word: str,
    model: Any,
    tokenizer: Any,
    vocabulary: int | None,
    source: Source | None,
    work: StepContext,
) -> EvaluatedModel:
    place = Path(place_of(work.model_place(word)))
    return EvaluatedModel(
        name=name,
        role=role,
        model=model,
        tokenizer=tokenizer,
        reader=ForwardModel(model, vocabulary).probe(),
        description=_description(word, work),
        folder=place if place.is_dir() else None,
        source=source,
    )


def _views(
    step: Evaluate,
    words: Mapping[str, str],
    subjects: Sequence[EvaluatedModel],
    reading: Reading,
    work: StepContext,
) -> dict[str, OwnView]:
    """Subjects with the student's token ids that read the rows in a chat format of their own, by name."""
    parts = step.teacher.members.values() if step.teacher is not None else ()
    asked = {one.word for one in parts if one.view == "student"}
    found = {}
    for subject in subjects:
        if subject.source is None and words[subject.name] not in asked:
            own = work.load_tokenizer(words[subject.name])
            view = reading.own_view(own, positions_of(subject.model.config))
            if view is not None:
                found[subject.name] = view
    return found


def _viewed(subject: EvaluatedModel, view: OwnView | None, tokenizer: Any) -> EvaluatedModel:
    """The subject with its own prompts, and its answers at the student's positions.

    Where some of these are not answered, it is compared as a model with another tokenizer is.
    """
    if view is None:
        return subject
    source = view.viewed.source
    if view.viewed.unanswered:
        return replace(subject, tokenizer=tokenizer, source=source)
    vocabulary = subject.reader.vocabulary
    assert vocabulary is not None, "only causal models read formats"
    model = LocalTeacher(subject.model, vocabulary)
    teacher = OwnViewTeacher(model, view.viewed, ends=view.ends, vocabulary=vocabulary)
    answer = partial(teacher.answer, needs=DISTRIBUTION)
    return replace(subject, tokenizer=tokenizer, answer=answer, prompts=source)


@dataclass(frozen=True)
class _Answering:
    """A subject as a member of an ensemble."""

    subject: EvaluatedModel

    def answer(self, batch: Batch, needs: Needs) -> Outputs:
        """Its distribution at every position of `batch`."""
        if self.subject.answer is not None:
            return self.subject.answer(batch)
        return self.subject.reader.read(batch.inputs, needs)

    def to(self, device: Any) -> "_Answering":
        """Where its model is; returns itself."""
        return self


def _ensemble(
    teacher: EnsemblePart, rows: Dataset, subjects: Sequence[EvaluatedModel], vocabulary: int | None
) -> EvaluatedModel:
    """The mean of the members, which come first among the subjects.

    A mean of losses has no distribution of its own: its minimum in the forward KL is the mean of the
    probabilities, and so that is shown.
    """
    members = subjects[: len(teacher.ensemble)]
    mean = "probabilities" if teacher.mean == "losses" else teacher.mean
    answering = EnsembleTeacher(
        [
            Member(
                _Answering(one),
                part.called,
                weight=part.weight,
                temperature=part.temperature,
                on=part.on,
            )
            for one, part in zip(members, teacher.ensemble, strict=True)
        ],
        mean=mean,
        route=make_route(teacher, rows),
    )
    listed = ", ".join(one.name for one in members)
    return EvaluatedModel(
        name="teacher",
        role="teacher",
        model=ModuleList(one.model for one in members),
        tokenizer=members[0].tokenizer,
        reader=members[0].reader,
        description=f"{'one a row' if teacher.route else f'mean of the {mean}'} of {listed}",
        answer=partial(answering.answer, needs=DISTRIBUTION),
        is_mean=True,
    )


def _baseline_name(word: str, work: StepContext) -> str:
    """The `out` of the training that made it; `baseline` for a model as it is."""
    trained = Train.that_made(word, work.earlier)
    return word if trained is not None and word not in ("teacher", "student") else _BASELINE


def _description(word: str, work: StepContext) -> str:
    made = maker(word, work.earlier)
    if made is None:
        return f"{model_word(word).said}, as it is"
    return work.recipe.steps[made].description
