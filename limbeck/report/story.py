"""What was done, step by step, in plain sentences."""

from collections.abc import Mapping
from typing import Any

from limbeck.core.measures import MEASURES
from limbeck.report.record import Record
from limbeck.report.verdict import findings, gap_closed, leading_measure
from limbeck.report.words import count, duration, listed


def story(record: Record) -> list[str]:
    """One sentence for each step of the recipe, with time and tokens where the step is done."""
    done = {(step.get("kind"), step.get("out")): step for step in record.steps}
    sentences = []
    for step in record.recipe.get("steps", []):
        kind, fields = next(iter(step.items()))
        fields = fields or {}
        sentence = _SENTENCES.get(kind, _other)(kind, fields)
        finished = done.get((kind, fields.get("out", "evaluation")), {})
        if finished.get("tokens"):
            sentence += f", {count(finished['tokens'])} tokens in {duration(finished['seconds'])}"
        sentences.append(sentence + ".")
    return sentences


def limits(record: Record) -> list[str]:
    """What was measured against the student, and what the numbers do not show."""
    found = [entry["text"] for entry in findings(record)]
    measure = leading_measure(record)
    gap = None if measure is None else gap_closed(record, measure)
    if measure is not None and gap is not None and gap < 1:
        left = f"{100 * (1 - max(gap, 0)):.0f} % of the gap to its teacher is left"
        found.append(f"{left} in {MEASURES[measure].label}.")
    found += [record.kind.limits] if record.kind is not None else []
    if record.evaluation:
        rows = record.evaluation["data"]["rows"]
        found.append(f"The numbers are for {rows} held-out rows of the same source as the training rows.")
        found.append("The intervals are over rows; how much another training seed changes is not in them.")
    if record.named("teacher") is not None:
        found.append("It was trained on its teacher's output, errors and biases included.")
    if record.evaluation and record.named("baseline") is None:
        found.append("No baseline was trained, so what the teacher contributed is not known.")
    return found


def _load(kind: str, fields: Mapping[str, Any]) -> str:
    # How many is a fact of the run (its notes): files of the standard library are held out by name.
    apart = "; some were held out for the evaluation" if fields.get("heldout") else ""
    return f"Read the rows of {fields.get('path')} as `{fields.get('out')}`{apart}"


def _build(kind: str, fields: Mapping[str, Any]) -> str:
    return f"Made `{fields.get('out')}` from {_model(fields.get('student'))}"


def _generate(kind: str, fields: Mapping[str, Any]) -> str:
    return f"Let {_model(fields.get('teacher'))} generate completions for `{fields.get('rows')}`"


def _train(kind: str, fields: Mapping[str, Any]) -> str:
    terms = [_term(term) for term in fields.get("objective", [])]
    teacher = fields.get("teacher")
    taught = f" against {_model(teacher)}" if teacher else " without a teacher"
    return (
        f"Trained `{fields.get('out')}`, starting from {_model(fields.get('student'))},{taught} on "
        f"`{fields.get('rows')}` with {listed(terms) or 'no objective'}{_written(fields.get('rollouts'))}"
    )


def _written(rollouts: Mapping[str, Any] | None) -> str:
    """Who wrote anew while training."""
    if not rollouts:
        return ""
    shares = [(name, rollouts.get(name, default)) for name, default in (("student", 1.0), ("teacher", 0.0))]
    parts = [f"the {name} {_share(share)} of the rows" for name, share in shares if share]
    beside = " beside the data's own" if rollouts.get("beside") else ""
    return f"; meanwhile {listed(parts)} anew{beside}"


def _share(share: Any) -> str:
    return "wrote a changing share" if isinstance(share, Mapping) else f"wrote {share:.0%}"


def _term(term: Mapping[str, Any]) -> str:
    weight = term.get("weight", 1)
    return f"{term.get('name')}" + (
        f" (weight {weight:g})" if isinstance(weight, int | float) and weight != 1 else ""
    )


def _evaluate(kind: str, fields: Mapping[str, Any]) -> str:
    others = [_model(fields[name]) for name in ("teacher", "baseline") if fields.get(name)]
    against = f" against {listed(others)}" if others else ""
    return f"Compared `{fields.get('model')}`{against} on `{fields.get('rows')}`"


def _compare(kind: str, fields: Mapping[str, Any]) -> str:
    names = [f"`{out}`" for out in fields.get("evaluations", [])]
    return f"Held the evaluations {listed(names)} against each other"


def _other(kind: str, fields: Mapping[str, Any]) -> str:
    return f"{kind.capitalize()}: `{fields.get('out', '')}`"


def _model(value: Any) -> str:
    if isinstance(value, Mapping):
        kind, inner = next(((key, inner) for key, inner in value.items() if inner), ("model", "a model"))
        if isinstance(inner, Mapping):
            return _model(inner)
        if isinstance(inner, list):
            return listed([_model(part) for part in inner])
        extra = [f"{key} {val}" for key, val in value.items() if key != kind and not isinstance(val, dict)]
        return f"`{inner}`" + (f" ({', '.join(extra)})" if extra else "")
    return f"`{value}`"


_SENTENCES = {
    "load": _load,
    "build": _build,
    "generate": _generate,
    "train": _train,
    "evaluate": _evaluate,
    "compare": _compare,
}
