"""`evaluate`: teacher, student and baseline on the same held-out rows; then report and model card."""

from pathlib import Path
from typing import Any

from limbeck.core.files import write_json
from limbeck.core.models import ModelKind
from limbeck.core.reader import Reader
from limbeck.evaluation.evaluate import evaluate as run_evaluation
from limbeck.evaluation.settings import EvaluationSettings, Subject
from limbeck.recipes.check import maker, measured_task
from limbeck.recipes.model import Evaluate, Train
from limbeck.rows.render import notes_of
from limbeck.runs import ranks
from limbeck.runs.sources import heldout_source, rendering_of
from limbeck.runs.steps.work import Made, Work
from limbeck.teachers import shared_vocabulary

EVALUATION, BY_ROW = "evaluation.json", "rows.json"


def evaluate(step: Evaluate, work: Work) -> Made:
    """Write `evaluation.json`, and `rows.json` with the measures of single rows, into the step's folder."""
    made = _evaluate(step, work) if ranks.is_main() else Made()
    ranks.wait()
    return made


def _evaluate(step: Evaluate, work: Work) -> Made:
    kind = work.kind(step.model_kind, step.model)
    names = work.classes(step.rows) if kind == "classifier" else ()
    rows, tokenizer = work.rows(step.rows), work.load_tokenizer(step.model)
    if step.limit is not None:
        rows = rows.select(range(min(step.limit, len(rows))))
    rendering = rendering_of(step, kind, task=measured_task(step, work.earlier), label_names=names)
    name = step.rows if step.limit is None else f"{step.rows}[:{step.limit}]"
    rendered = work.renderer.render(name, rows, tokenizer, rendering)
    subjects = _subjects(step, work, kind, names, tokenizer)
    source = heldout_source(rendered, rendering, tokenizer, subjects[0].model.config)
    result = run_evaluation(
        subjects,
        source=source,
        rows=rows.to_list(),
        settings=settings_of(step, kind, names),
        progress=lambda what, share: work.advance(share, what),
    )
    write_json(work.folder / BY_ROW, result.pop("by_row"))
    write_json(work.folder / EVALUATION, result)
    tokens = sum(source.lengths)
    return Made(tokens=min(tokens, step.max_positions or tokens), notes=tuple(notes_of(rendered)))


def settings_of(step: Evaluate, kind: ModelKind, label_names: tuple[str, ...]) -> EvaluationSettings:
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


def _subjects(
    step: Evaluate, work: Work, kind: ModelKind, names: tuple[str, ...], tokenizer: Any
) -> list[Subject]:
    words: list[tuple[str, Any, str]] = []
    if step.teacher is not None:
        words.append(("teacher", "teacher", step.teacher.model))
    if step.baseline is not None:
        words.append((_baseline_name(step.baseline, work), "baseline", step.baseline))
    words.append(("student", "student", step.model))
    models = {name: work.load_model(word, kind, names) for name, _, word in words}
    vocabulary = None
    if kind in ("causal", "seq2seq"):
        sizes = [model.config.get_text_config().vocab_size for model in models.values()]
        vocabulary = min(sizes)
        if step.teacher is not None:
            other = work.load_tokenizer(step.teacher.model)
            vocabulary = shared_vocabulary(tokenizer, other, sizes[-1], sizes[0]).size
    return [
        Subject(
            name=name,
            role=role,
            model=models[name],
            tokenizer=tokenizer,
            reader=Reader(models[name], vocabulary).probe(),
            description=_description(word, work),
            folder=Path(place) if Path(place := work.model_place(word)).is_dir() else None,
        )
        for name, role, word in words
    ]


def _baseline_name(word: str, work: Work) -> str:
    """The `out` of the training that made it; `undistilled` for a model as it is."""
    made = maker(word, work.earlier)
    trained = made is not None and isinstance(work.recipe.steps[made], Train)
    return word if trained and word not in ("teacher", "student") else "undistilled"


def _description(word: str, work: Work) -> str:
    made = maker(word, work.earlier)
    if made is None:
        return f"{word}, as it is"
    step = work.recipe.steps[made]
    if not isinstance(step, Train):
        return f"made from {step.student.origin}, not trained"  # type: ignore[union-attr]
    objective = " + ".join(term.name + (f" on {term.on}" if term.on else "") for term in step.objective)
    return f"from {step.student.origin}, trained with {objective} on {step.rows}"
