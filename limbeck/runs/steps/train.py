"""`train`: student, terms, rows and teacher put together and handed to the engine."""

from functools import partial
from typing import Any

from datasets import Dataset

from limbeck.core.models import count_parameters, load_tokenizer, read_config, save_model
from limbeck.core.reader import Reader
from limbeck.core.training import TrainingSettings
from limbeck.engine import Party, StepReport
from limbeck.engine import train as run_engine
from limbeck.objectives.criterion import Criterion
from limbeck.recipes.model import Train
from limbeck.rows.packable import reads_packs
from limbeck.rows.render import notes_of
from limbeck.rows.rendering import Rendering
from limbeck.runs import ranks
from limbeck.runs.sources import rendering_of, training_source
from limbeck.runs.steps.beside import Beside, domains_of
from limbeck.runs.steps.build import make_student
from limbeck.runs.steps.work import MODEL, Made, Work
from limbeck.runs.stores import check_rows, open_store, row_checksums, shared_with_store
from limbeck.runs.terms import build_terms
from limbeck.students import add_lora
from limbeck.teachers import LocalTeacher, StoredTeacher, shared_vocabulary

_ALL_LINEAR = "all-linear"

AnyTeacher = LocalTeacher | StoredTeacher | None


def train(step: Train, work: Work) -> Made:
    """Train, then write `model/`; `checkpoint/` and `metrics.jsonl` lie beside it meanwhile."""
    origin = step.student.origin
    kind = work.kind(step.model_kind, origin)
    names = work.classes(step.rows) if kind == "classifier" else ()
    tokenizer = load_tokenizer(work.model_place(origin))
    rendering = rendering_of(step, kind, task=step.task, label_names=names)
    rendered = work.renderer.render(step.rows, work.rows(step.rows), tokenizer, rendering)
    notes = list(notes_of(rendered))
    student = make_student(step.student, work.model_place(origin), kind, seed=step.seed, label_names=names)
    student.to(work.device)
    teacher, vocabulary = _teacher(step, work, student, tokenizer, kind, names, rendered, rendering)
    settings = step
    if step.packing and kind == "causal" and not _keeps_rows_apart(student, teacher, len(tokenizer)):
        settings = step.model_copy(update={"packing": False})
        notes.append("Rows were padded: a model here does not keep packed rows apart.")
    domains = None
    if step.domains is not None:
        domains = domains_of(work.rows(step.rows), rendered, step.domains.column)
    source = training_source(rendered, rendering, settings, tokenizer, student.config, domains)
    trained = _with_adapters(student, step)
    criterion = Criterion(build_terms(step.objective), fused=step.fused)
    reader = Reader(trained, vocabulary).probe()
    party = Party("student", trained, reader, criterion, _settings(settings), balance=step.balance)
    live = teacher if isinstance(teacher, LocalTeacher) else None
    beside = Beside(settings, work, trained, reader, live, tokenizer, rendering)
    rollouts = beside.rollouts(source)
    order = beside.order(domains, source)
    followers = {"rollouts": rollouts, "order": order}
    needs, selector = criterion.teacher_needs, beside.selector()
    ask = None if teacher is None or not needs else (selector or teacher).answer
    result = run_engine(
        [party],
        source,
        answer=None if ask is None else partial(ask, needs=needs),
        folder=work.folder,
        prepare=beside.prepare(rollouts, selector),
        watch=beside.watcher(criterion.terms),
        order=order,
        followers={name: one for name, one in followers.items() if one is not None},
        on_step=lambda report: _tell(work, report),
    )
    if ranks.is_main():
        save_model(trained, tokenizer, work.folder / MODEL)
    ranks.wait()
    if selector is not None:
        notes.append(f"Teachers read {selector.asked:,} rows.")
    notes.append(f"{result.steps:,} steps, {count_parameters(student):,} parameters.")
    return Made(tokens=result.tokens, notes=tuple(notes), seconds=result.seconds)


def _teacher(
    step: Train,
    work: Work,
    student: Any,
    tokenizer: Any,
    kind: Any,
    names: tuple[str, ...],
    rows: Dataset,
    rendering: Rendering,
) -> tuple[AnyTeacher, int | None]:
    """The teacher, and the number of token ids that both share (None: all of the student's)."""
    if step.teacher is None:
        return None, None
    if step.teacher.signals:
        return _stored_teacher(step, work, student, tokenizer, rows, rendering)
    word = step.teacher.model
    model = work.load_model(word, kind, names)
    if kind in ("encoder", "classifier"):
        return LocalTeacher(model, None, noise=step.teacher.noise, seed=step.seed).to(work.device), None
    sizes = [
        read.get_text_config().vocab_size for read in (student.config, read_config(work.model_place(word)))
    ]
    shared = shared_vocabulary(tokenizer, work.load_tokenizer(word), *sizes)
    made = LocalTeacher(model, shared.size, noise=step.teacher.noise, seed=step.seed)
    return made.to(work.device), shared.size


def _stored_teacher(
    step: Train, work: Work, student: Any, tokenizer: Any, rows: Dataset, rendering: Rendering
) -> tuple[StoredTeacher, int]:
    assert step.teacher is not None
    signals = open_store(work.store_place(step.teacher.signals), "teacher.signals", verify=True)
    check_rows(signals, row_checksums(rows), tokenizer, rendering)
    shared = shared_with_store(signals, tokenizer, student.config.get_text_config().vocab_size)
    return StoredTeacher(signals, shared), shared


def _keeps_rows_apart(student: Any, teacher: AnyTeacher, vocabulary: int) -> bool:
    # A store was captured from padded rows.
    models = [student, teacher.model] if isinstance(teacher, LocalTeacher) else [student]
    return all(reads_packs(model, vocabulary) for model in models)


def _with_adapters(student: Any, step: Train) -> Any:
    if not step.lora_r:
        return student
    return add_lora(
        student,
        r=step.lora_r,
        alpha=step.lora_alpha,
        dropout=step.lora_dropout,
        target_modules=step.lora_target_modules or _ALL_LINEAR,
    )


def _settings(step: Train) -> TrainingSettings:
    return TrainingSettings(**{name: getattr(step, name) for name in TrainingSettings.model_fields})


def _tell(work: Work, report: StepReport) -> None:
    if ranks.is_main():
        work.progress.trained(work.stage, report)
