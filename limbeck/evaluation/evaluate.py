"""The evaluation: chosen metrics of all subjects on the same held-out rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from time import perf_counter
from typing import Any

import numpy as np

from limbeck.core.batch import Source
from limbeck.core.catalogue import catalogue
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.fingerprint import fingerprint
from limbeck.core.kinds import kind_named
from limbeck.core.lookup import unknown
from limbeck.core.measures import metrics_of
from limbeck.evaluation.data import Units
from limbeck.evaluation.settings import EvaluatedModel, EvaluationSettings
from limbeck.evaluation.several import among_equals, gather
from limbeck.evaluation.speed import size

VERSION = 1
"""Of the result; raised when a key changes its meaning or goes away."""

_OF_TOKENS = ("fidelity", "calibration")
_ROLES = ("teacher", "member", "student", "baseline")


def evaluate(
    subjects: Sequence[EvaluatedModel],
    *,
    source: Source,
    rows: Sequence[Mapping[str, Any]],
    settings: EvaluationSettings,
    progress: Callable[[str, float], None] | None = None,
) -> dict[str, Any]:
    """Compare teacher, students and baselines on held-out rows.

    Every subject reads the same batches, once for all metrics that need its distribution; one with a
    `source` of its own reads the same rows in its own tokens, and is compared in what does not depend on
    tokens: bits per byte, written text, speed. All models are left in the mode they came in.

    Args:
        subjects: at most one teacher, members only of it, at least one subject; names all different.
        source: aligned batches of the held-out rows, for all subjects without one of their own.
        rows: the rows themselves, each with `id`; a batch's `row_ids` are such ids, or `id#k` for the
            k-th window of a long text or side of a pair. A column `domain`, `source` or `slice`
            slices the fidelity; `score` is the human similarity of a pair.
        settings: what is compared.
        progress: called with the name of what is being done and its share.

    Returns:
        Plain JSON data, without NaN. An *estimate* is `{"value", "n", "rows", "interval"}`: n units
        (positions, examples, prompts) from so many rows, `interval` = [low, high] at 95 % by
        resampling rows, or None with fewer than two rows; `value` is None when n is 0.

        - format: "limbeck-evaluation", version: 1, kind, settings
        - data: rows (ids given), fingerprint (of the rows, whatever their order), units (scored positions
          or examples, 0 when no metric read them), rows_read, complete (False when `max_positions`
          stopped the reading), scored (fingerprint of the units and their targets, None without any)
        - by_row: measure (bits_per_byte, top1_agreement, forward_kl, reverse_kl, accuracy, task,
          answer_agreement, anls) -> subject -> id of a row -> its value, for paired tests
        - subjects: list of {name, role, description, parameters, memory_bytes, disk_bytes?, own_tokens?: True
          where it has another tokenizer than `source`}
        - seconds: name of a metric -> seconds (the shared reading counts for the first that needs it)
        - metrics: name -> {definition (in words), subjects: name -> ..., comparisons: [...], ...}:
          - perplexity: tokens, bytes; a subject: nats_per_token, perplexity, bits_per_byte? (estimates); with
            several tokenizers: bits_per_byte, tokens, bytes, and the others for those that read `source`
          - fidelity: teacher, teacher_top1_accuracy; a subject: overall {top1_agreement, top5_overlap,
            forward_kl, reverse_kl, js_distance}, top1_agreement_where_teacher_is_right, .._wrong,
            slices {position|teacher_entropy|row_length|<column>: [{slice, top1_agreement,
            forward_kl, reverse_kl}]}, members? {name: as overall} with an ensemble as the teacher
          - calibration: bins; a subject: ece (estimate), accuracy, mean_confidence, curve
            [{low, high, n, confidence, accuracy}]
          - classification: examples; a subject: accuracy, macro_f1, nats, ece, classes [{class, n,
            precision, recall, f1}], label_loyalty, probability_loyalty, forward_kl, reverse_kl; with
            one output: pearson, squared_error, regression_loyalty; members? {name: {label_loyalty,
            probability_loyalty, forward_kl, reverse_kl} or {regression_loyalty}}
          - similarity: sentences; a subject: width, pair_order?, cosine?, human?
          - generation: prompts, max_new_tokens, reference_repetition (of the held-out texts), task? {name,
            rule, null? {text, passed}: what a constant text passes}; a subject: length, stopped, repetition,
            task?, answer_agreement? (task final_answer), rationale_bleu? (same task, of students);
            samples [{row, prompt, reference, texts {subject: text}}]
          - anls: least; a subject: anls (estimate)
          - speed: machine {device, threads, platform}; a subject: forward_tokens_per_second,
            generated_tokens_per_second? {value, n, low, high}, parameters, memory_bytes, disk_bytes?
          - comparisons, of every student with every baseline: {measure, student, baseline, difference
            (estimate of student - baseline), verdict: better | worse | undecided}

    Raises:
        ConfigError: all that is wrong with subjects, settings or metrics, in one go.
    """
    _check(subjects, rows, settings)
    ordered = sorted(subjects, key=lambda subject: _ROLES.index(subject.role))
    if not kind_named(settings.kind).has_classes:
        for subject in ordered:
            if not subject.reader.projects:
                subject.reader.probe()
    named = {str(row["id"]): row for row in rows}
    evidence = gather(ordered, source, named, settings, progress or (lambda name, share: None))
    metrics, seconds = {}, {}
    for name in settings.metrics:
        metric, start = catalogue("evaluation")[name].load(), perf_counter()
        is_of_tokens = name in _OF_TOKENS
        metrics[name] = among_equals(name, metric, evidence) if is_of_tokens else metric(evidence)
        seconds[name] = round(perf_counter() - start, 3)
    # A cached property's value lies in the instance only once it was asked for.
    units = evidence.__dict__.get("units")
    return {
        "format": "limbeck-evaluation",
        "version": VERSION,
        "kind": settings.kind,
        "settings": {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(settings).items()
        },
        "data": {
            "rows": len(rows),
            "fingerprint": fingerprint(sorted([str(row["id"]), repr(sorted(row.items()))] for row in rows)),
            "units": 0 if units is None else len(units),
            "rows_read": 0 if units is None else units.rows.count,
            "complete": True if units is None else units.complete,
            "scored": None if units is None else _scored(units),
        },
        "subjects": [
            {
                "name": subject.name,
                "role": subject.role,
                "description": subject.description,
                **size(subject),
                **({} if subject.source is None else {"own_tokens": True}),
            }
            for subject in ordered
        ],
        "seconds": seconds,
        "metrics": metrics,
        "by_row": evidence.by_row,
    }


def _scored(units: Units) -> str:
    named = np.array(units.ids, dtype=object)[units.rows.row].tolist() if units.ids else []
    return fingerprint(sorted(zip(named, units.place.tolist(), units.target.tolist(), strict=True)))


def _check(
    subjects: Sequence[EvaluatedModel], rows: Sequence[Mapping[str, Any]], settings: EvaluationSettings
) -> None:
    problems = []
    names = [subject.name for subject in subjects]
    if not names:
        problems.append(Problem("subjects", "must hold at least one model, got none."))
    if len(set(names)) < len(names):
        problems.append(Problem("subjects", f"names must all be different, got {names}."))
    if sum(subject.role == "teacher" for subject in subjects) > 1:
        problems.append(Problem("subjects", "at most one must be the teacher, got several."))
    if names and all(subject.source is not None for subject in subjects):
        problems.append(Problem("subjects", "must hold one that reads the common source, got none."))
    if not kind_named(settings.kind).writes and any(subject.source for subject in subjects):
        problems.append(
            Problem("subjects", f"must all read one source as {settings.kind} models, got several.")
        )
    roles = {subject.role for subject in subjects}
    if "member" in roles and "teacher" not in roles:
        problems.append(Problem("subjects", "members must come with the teacher they make, got none."))
    if any("id" not in row for row in rows):
        problems.append(Problem("rows", "every row must have an id, got one without."))
    if not settings.metrics:
        problems.append(Problem("metrics", "must hold at least one metric, got none."))
    for name in settings.metrics:
        if name not in catalogue("evaluation"):
            problems.append(Problem("metrics", unknown("metric", name, catalogue("evaluation"))))
        elif name not in metrics_of(settings.kind):
            fitting = ", ".join(metrics_of(settings.kind))
            problems.append(
                Problem(
                    "metrics",
                    f"must be {fitting} for models of kind {settings.kind}, got {name}. Leave {name} out.",
                )
            )
    if problems:
        raise ConfigError(problems)
