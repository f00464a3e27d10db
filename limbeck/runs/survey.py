"""A cheap look at everything a recipe reads, before anything is spent; all problems in one go.

Nothing is trained, generated or loaded onto a device: data is read and rendered, models are known
by their configuration, objectives are tried on a few random numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from datasets import Dataset

from limbeck.core.class_names import agreed_classes
from limbeck.core.errors import ConfigError, ModelError, Problem
from limbeck.core.models import ModelKind
from limbeck.evaluation.evaluate import METRICS
from limbeck.evaluation.prompts import check_prompts
from limbeck.recipes.check import PARTS, measured_task, path_of, rows_of, store_maker
from limbeck.recipes.check_alignment import reads_foreign
from limbeck.recipes.check_stores import stores_of
from limbeck.recipes.compare import Compare
from limbeck.recipes.model import Build, Capture, Evaluate, Generate, Load, Recipe, Step, Train
from limbeck.rows.aligned.pairs import Pair
from limbeck.rows.preview import Preview
from limbeck.rows.rendering import Rendering
from limbeck.runs.answers import prompts_to_answer, said_of_ends, said_of_prompts
from limbeck.runs.collect import Problems
from limbeck.runs.domains import domain_problems
from limbeck.runs.ensembles import check_route, check_topk
from limbeck.runs.foreign import teacher_length
from limbeck.runs.heads import assumed_order, labels_of, read_heads
from limbeck.runs.known import KnownModels, check_longest, check_positions, kind_used
from limbeck.runs.loading import loaded, notes_on
from limbeck.runs.measured_teachers import said_of_store
from limbeck.runs.model_files import check_lora, check_models, notes_on_models
from limbeck.runs.models import Shape, made_shape
from limbeck.runs.reading import Readers, join, own_rendering, said_of
from limbeck.runs.reading_notes import said_of_rows
from limbeck.runs.readings import notes_on_reading
from limbeck.runs.rollouts import check_rollouts, check_watched_answers
from limbeck.runs.sources import (
    Renderer,
    calibration_source,
    heldout_source,
    rendering_of,
    size_of,
    training_source,
)
from limbeck.runs.stores import (
    check_rows,
    is_topk,
    open_store,
    positions_of,
    row_checksums,
    shared_with_store,
    tokenizer_of_store,
)
from limbeck.runs.terms import build_terms, check_layers, try_term
from limbeck.runs.trackers import check_trackers
from limbeck.runs.views import OwnView, Reading
from limbeck.runs.views_planned import views_planned

_UNKNOWN_WIDTH = 5040  # divisible by any number of heads that occurs, for a trial without a model


@dataclass
class Survey:
    """What was seen.

    Attributes:
        recipe: that was looked at.
        rows: by reference (`rows.train`); not those a teacher has yet to write.
        models: shape by word or out.
        entries: of a train or evaluate step, by its place: (number of entries, their tokens).
        vocabularies: of a step, by its place: sentence on its vocabulary.
        positions: of a capture, by its place: how many it keeps.
        ends: of a step that lets models write, by its place: sentence on the tokens that end an answer.
        notes: of a step, by its place: sentences on what it will do.
        samples: of a step, by its place: the first rows as its model reads them.
        problems: all that is wrong.
        renderer: keeps what was rendered, for the steps.
    """

    recipe: Recipe
    rows: dict[str, Dataset] = field(default_factory=dict)
    models: dict[str, Shape] = field(default_factory=dict)
    entries: dict[int, tuple[int, int]] = field(default_factory=dict)
    vocabularies: dict[int, str] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    ends: dict[int, str] = field(default_factory=dict)
    notes: dict[int, list[str]] = field(default_factory=dict)
    samples: dict[int, list[Preview]] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)
    renderer: Renderer = field(default_factory=Renderer)


def survey(recipe: Recipe, tell: Callable[[str], None] = lambda text: None) -> Survey:
    """Look at every step, in order; problems are in the result, not raised."""
    return _Surveyor(recipe, tell).survey()


class _Surveyor:
    def __init__(self, recipe: Recipe, tell: Callable[[str], None]) -> None:
        self.seen = Survey(recipe)
        self.tell = tell
        outs = [step.out for step in recipe.steps if isinstance(step, Build | Train)]
        self.known = KnownModels(outs, self.seen.problems, self.seen.models)

    def survey(self) -> Survey:
        looks: dict[type[Step], Callable[..., None]] = {
            Load: self._load,
            Build: self._build,
            Generate: self._generate,
            Capture: self._capture,
            Train: self._train,
            Evaluate: self._evaluate,
            Compare: self._compare,
        }
        for place, step in enumerate(self.seen.recipe.steps):
            self.tell(f"looking at {step.kind} {step.out}")
            with self.seen.problems.at(path_of(place, step)):
                looks[type(step)](place, step)
            earlier, where = self.seen.recipe.steps[:place], path_of(place, step)
            check_models(step, where, earlier, self.known)
            said = [*notes_on_models(step, earlier, self.known), *check_lora(step, where, self.known)]
            said += notes_on_reading(step, earlier)
            self.seen.notes.setdefault(place, []).extend(said)
        return self.seen

    def _load(self, place: int, step: Load) -> None:
        parts = loaded(step)
        self.seen.notes[place] = notes_on(parts, self.seen.recipe.steps)
        read = {
            rows.partition(".")[2]: place
            for place, other in enumerate(self.seen.recipe.steps)
            for rows in rows_of(other).values()
            if rows.partition(".")[0] == step.out
        }
        for part, rows in zip(PARTS, parts, strict=True):
            if len(rows) == 0 and part in read:
                reader = path_of(read[part], self.seen.recipe.steps[read[part]])
                raise ConfigError(
                    Problem(
                        part if part != "train" else "heldout",
                        f"must leave at least one row in {step.out}.{part}, which {reader} reads, got "
                        f"{step.heldout:g} held out of {sum(map(len, parts))} rows. Set another share or "
                        "number of rows; equal rows always stay on one side.",
                    )
                )
            self.seen.rows[f"{step.out}.{part}"] = rows

    def _build(self, place: int, step: Build) -> None:
        origin = self.known.shape(step.student.origin, f"{path_of(place, step)}.student")
        if origin is None:
            return
        with self.seen.problems.at(f"{path_of(place, step)}.student"):
            self.seen.models[step.out] = made_shape(step.student, origin, None)
        if step.rows in self.seen.rows:
            tokenizer = self.known.tokenizer(origin)
            source, entries = calibration_source(self.seen.rows[step.rows], step, tokenizer)
            check_longest(max((source.lengths[entry] for entry in entries), default=0), origin)
            self.seen.entries[place] = len(entries), sum(source.lengths[entry] for entry in entries)

    def _check_watch(self, step: Train, where: str, student: Shape, rendering: Rendering) -> None:
        if step.watch is None or step.watch.rows not in self.seen.rows:
            return
        with self.seen.problems.at(where):
            check_watched_answers(step, self._render(step.watch.rows, student, rendering), student.positions)

    def _generate(self, place: int, step: Generate) -> None:
        where = path_of(place, step)
        teacher = self.known.shape(step.teacher.model, f"{where}.teacher.model")
        if teacher is None:
            return
        if teacher.kind not in ("causal", "seq2seq"):
            raise ModelError(
                Problem(
                    "teacher.model",
                    f"must be a causal or seq2seq model to write, got {teacher.kind or 'another'}.",
                )
            )
        if teacher.positions is not None and step.max_new_tokens >= teacher.positions:
            raise ConfigError(
                Problem(
                    "max_new_tokens",
                    f"must be below the teacher's {teacher.positions} positions, got {step.max_new_tokens}.",
                )
            )
        self.seen.ends[place] = said_of_ends(self.known.tokenizer(teacher), teacher)
        if step.rows in self.seen.rows:
            tokenizer = self.known.tokenizer(teacher)
            prompts_to_answer(self.seen.rows[step.rows], step, teacher.kind, tokenizer, teacher.positions)

    def _capture(self, place: int, step: Capture) -> None:
        teacher = self.known.shape(step.teacher.model, f"{path_of(place, step)}.teacher.model")
        if teacher is None:
            return
        kind = kind_used(step.model_kind, teacher)
        if kind not in ("causal", "seq2seq"):
            raise ModelError(
                Problem("teacher.model", f"must be causal or seq2seq to be captured, got {kind}.")
            )
        if step.rows in self.seen.rows:
            rendering = rendering_of(step, kind, task=step.task, label_names=())
            rendered = self._render(step.rows, teacher, rendering)
            check_positions(rendered, teacher)
            self._note_form(place, step.rows, kind, teacher, rendered)
            lengths = [len(ids) for ids in rendered["input_ids"]]
            self.seen.entries[place] = (len(lengths), sum(lengths))
            self.seen.positions[place] = positions_of(rendered)

    def _train(self, place: int, step: Train) -> None:
        where, problems = path_of(place, step), self.seen.problems
        with problems.at(where):
            check_trackers(step.report_to)
        origin = self.known.shape(step.student.origin, f"{where}.student")
        teachers = self.known.teachers(step, where)
        teacher = next(iter(teachers.values()), None)
        if origin is None:
            self._try_terms(place, step, None, teacher)
            return
        kind = kind_used(step.model_kind, origin)
        student = made_shape(step.student, origin, kind)
        names = self._classes(place, step) if kind == "classifier" else ()
        student = replace(student, classes=names)
        self.seen.models[step.out] = student
        self._try_terms(place, step, student, teacher, kind)
        is_foreign = reads_foreign(step)
        for path, shape in () if is_foreign else teachers.items():
            with problems.at(f"{where}.{path}"):
                self._check_vocabulary(place, student, shape)
        if step.rollouts is not None:
            self.seen.ends[place] = said_of_ends(self.known.tokenizer(student), student, *teachers.values())
        rendered = None
        if step.rows in self.seen.rows:
            rendering = rendering_of(step, kind, task=step.task, label_names=names)
            if is_foreign and teacher is not None:
                rendered = self._render_pair(step, student, teacher, rendering).student
                readers = [student]
            else:
                rendered = self._render(step.rows, student, rendering)
                readers = [student, *teachers.values()]
            with problems.at(where):
                check_positions(rendered, *readers)
            with problems.at(where):
                check_rollouts(
                    step, kind, rendered, *(one.positions for one in (student, *teachers.values()))
                )
            self._check_watch(step, where, student, rendering)
            self._note_form(place, step.rows, kind, student, rendered)
            source = training_source(rendered, rendering, step, self.known.tokenizer(student), student.config)
            self.seen.entries[place] = size_of(source)
            with problems.at(f"{where}.teacher.route"):
                check_route(step.teacher, self.seen.rows[step.rows])
        if step.selection is not None and step.selection.other is not None:
            self.known.shape(step.selection.other.model, f"{where}.selection.other.model")
        for word in step.watch.distances.values() if step.watch else ():
            other = self.known.shape(word, f"{where}.watch.distances")
            if other is not None:
                with problems.at(f"{where}.watch.distances"):
                    self._check_vocabulary(place, student, other)
        for problem in domain_problems(step, self.seen.rows):
            problems.note(ConfigError(problem), where)
        views = {}
        if not is_foreign and rendered is not None:
            reading = self._reading(step.rows, student, rendering)
            views = views_planned(step, where, reading, self.known, self.seen.recipe.steps[:place])
            self.seen.notes.setdefault(place, []).extend(view.note for view in views.values())
        for path, word in stores_of(step).items():
            with problems.at(f"{where}.{path if step.teacher and step.teacher.ensemble else 'teacher'}"):
                self._check_store(place, step, student, rendered, word, views.get(word))
        with problems.at(f"{where}.teacher"):
            check_topk(step.teacher, self._topk(place, step))

    def _evaluate(self, place: int, step: Evaluate) -> None:
        where = path_of(place, step)
        shapes = {
            name: self.known.shape(word, f"{where}.{name}")
            for name, word in (("model", step.model), ("baseline", step.baseline))
            if word is not None
        }
        teachers = self.known.teachers(step, where)
        said = said_of_store(step, self.seen.recipe.steps[:place])
        self.seen.notes.setdefault(place, []).extend(said)
        model = shapes["model"]
        if model is None:
            return
        kind = kind_used(step.model_kind, model)
        for number, metric in enumerate(step.metrics):
            if kind not in METRICS[metric][1]:
                fitting = ", ".join(name for name, (_, kinds) in METRICS.items() if kind in kinds)
                self.seen.problems.note(
                    ConfigError(f"must be {fitting} for models of kind {kind}, got {metric}. Leave it out."),
                    f"{where}.metrics.{number}",
                )
        if "generation" in step.metrics and kind in ("causal", "seq2seq"):
            self.seen.ends[place] = said_of_ends(self.known.tokenizer(model), model)
        compared = {"teacher": teachers.pop("teacher", None), "baseline": shapes.get("baseline")}
        for path, member in teachers.items():
            with self.seen.problems.at(f"{where}.{path}"):
                self._check_vocabulary(place, model, member)
        others = {name: shape for name, shape in compared.items() if shape is not None}
        groups = [Readers(self.known.tokenizer(model), {"model": model.vocabulary})]
        for name, other in others.items():
            with self.seen.problems.at(f"{where}.{name}"):
                if kind in ("causal", "seq2seq"):
                    join(groups, name, self.known.tokenizer(other), other.vocabulary)
                else:
                    self._check_vocabulary(place, model, other)
        apart = {name: others[name] for group in groups[1:] for name in group.columns}
        self.seen.vocabularies[place] = said_of(groups)
        if step.rows in self.seen.rows:
            rendering = rendering_of(
                step,
                kind,
                task=measured_task(step, self.seen.recipe.steps[:place]),
                label_names=self._classes(place, step) if kind == "classifier" else (),
            )
            rendered = self._render(step.rows, model, rendering)
            read = (None if "teacher" in apart else compared["teacher"], *teachers.values())
            check_positions(rendered, model, *read)
            for name, other in apart.items():
                with self.seen.problems.at(f"{where}.{name}"):
                    self._render(step.rows, other, own_rendering(rendering, other.positions))
            reading = self._reading(step.rows, model, rendering)
            views = views_planned(step, where, reading, self.known, self.seen.recipe.steps[:place])
            self.seen.notes.setdefault(place, []).extend(view.note for view in views.values())
            if "generation" in step.metrics and kind == "causal":
                with self.seen.problems.at(f"{where}.metrics"):
                    check_prompts(rendered["input_ids"])
            with self.seen.problems.at(f"{where}.teacher.route"):
                check_route(step.teacher, self.seen.rows[step.rows])
            source = heldout_source(rendered, rendering, self.known.tokenizer(model), model.config)
            self.seen.entries[place] = size_of(source)
            if "generation" in step.metrics and kind in ("causal", "seq2seq"):
                with self.seen.problems.at(where):
                    ids = self.seen.rows[step.rows]["id"]
                    said = said_of_prompts(step, kind, source, ids, model, *others.values())
                    self.seen.notes.setdefault(place, []).extend(said)

    def _compare(self, place: int, step: Compare) -> None:
        """Reads results alone; between the steps it is checked with the recipe."""

    def _classes(self, place: int, step: Train | Evaluate) -> tuple[str, ...]:
        """The classes of a step in the order of their scores; says where an order is assumed."""
        out = step.rows.partition(".")[0]
        parts = [part for name, part in self.seen.rows.items() if name.partition(".")[0] == out]
        labels = labels_of(parts)
        words = read_heads(step)
        heads = {word: self.seen.models[word].classes for word in words if word in self.seen.models}
        names = agreed_classes(labels, heads)
        self.seen.notes.setdefault(place, []).extend(assumed_order(labels, heads))
        return names

    def _try_terms(
        self, place: int, step: Train, student: Shape | None, teacher: Shape | None, kind: str = "auto"
    ) -> None:
        where = path_of(place, step)
        widths = [shape.width for shape in (student, teacher) if shape is not None] or [_UNKNOWN_WIDTH]
        built = build_terms(step.objective, student_width=widths[0], teacher_width=widths[-1])
        for number, term in enumerate(built):
            with self.seen.problems.at(f"{where}.objective.{number}"):
                stored = any(self._topk(place, step).values())
                try_term(
                    term,
                    student_width=widths[0],
                    teacher_width=widths[-1],
                    stored=stored,
                    by_row=kind == "classifier",
                )
                for whose, shape in (("student", student), ("teacher", teacher)):
                    if term.layers is not None and shape is not None:
                        check_layers(whose, getattr(term.layers, whose), shape.depth)

    def _topk(self, place: int, step: Train) -> dict[str, bool]:
        """Path of each store that a training reads -> whether it is of top-k."""
        earlier = self.seen.recipe.steps[:place]
        return {path: is_topk(word, earlier) for path, word in stores_of(step).items()}

    def _check_store(
        self,
        place: int,
        step: Train,
        student: Shape,
        rendered: Dataset | None,
        word: str,
        view: OwnView | None,
    ) -> None:
        """The rows, tokens and vocabulary of a training against those of one of its stores."""
        rendered = rendered if view is None else view.rendered
        made = store_maker(word, self.seen.recipe.steps[:place])
        tokenizer = self.known.tokenizer(student)
        if made is None:
            where = "signals" if step.teacher is not None and step.teacher.signals else ""
            signals = open_store(Path(word).expanduser(), where, verify=False)
            shared_with_store(signals, tokenizer, student.vocabulary)
            if rendered is not None:
                rendering = rendering_of(step, "causal", task=step.task, label_names=())
                read = (
                    (tokenizer, rendering) if view is None else (tokenizer_of_store(signals), view.rendering)
                )
                check_rows(signals, row_checksums(rendered), *read)
            return
        capture = self.seen.recipe.steps[made]
        assert isinstance(capture, Capture)
        teacher = self.seen.models.get(capture.teacher.model)
        if teacher is None:
            return
        self._check_vocabulary(place, student, teacher)
        if rendered is None or capture.rows not in self.seen.rows:
            return
        kind = kind_used(capture.model_kind, teacher)
        rendering = rendering_of(capture, kind, task=capture.task, label_names=())
        there = dict(row_checksums(self._render(capture.rows, teacher, rendering)))
        other = [name for name, value in row_checksums(rendered) if there.get(name) != value]
        if other:
            raise ConfigError(
                f"must read the rows as {path_of(made, capture)} does, got other tokens in {len(other):,} of "
                f"{len(rendered):,} rows ({other[0]}). Give both the same max_length and loss_on."
            )

    def _note_form(self, place: int, rows: str, kind: ModelKind, shape: Shape, rendered: Dataset) -> None:
        notes, self.seen.samples[place] = said_of_rows(
            self.seen.rows[rows], rendered, self.known.tokenizer(shape), kind
        )
        self.seen.notes.setdefault(place, []).extend(notes)

    def _check_vocabulary(self, place: int, student: Shape, teacher: Shape) -> None:
        note = self.known.shared(student, teacher)
        if note is not None:
            self.seen.vocabularies[place] = note

    def _render_pair(self, step: Train, student: Shape, teacher: Shape, rendering: Rendering) -> Pair:
        return self.seen.renderer.render_pair(
            step.rows,
            self.seen.rows[step.rows],
            self.known.tokenizer(student),
            self.known.tokenizer(teacher),
            rendering,
            teacher_length=teacher_length(step, teacher.positions),
        )

    def _reading(self, rows: str, shape: Shape, rendering: Rendering) -> Reading:
        tokenizer = self.known.tokenizer(shape)
        return Reading(rows, self.seen.rows[rows], tokenizer, rendering, self.seen.renderer)

    def _render(self, rows: str, shape: Shape, rendering: Rendering) -> Dataset:
        return self.seen.renderer.render(rows, self.seen.rows[rows], self.known.tokenizer(shape), rendering)
