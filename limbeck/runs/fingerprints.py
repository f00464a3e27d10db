"""Fingerprints of steps: equal if and only if configuration and everything read are equal."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limbeck.core.fingerprint import fingerprint, fingerprint_path, tokenizer_fingerprint
from limbeck.core.models import model_fingerprint
from limbeck.core.training import WITHOUT_EFFECT
from limbeck.recipes.check import maker, models_of, rows_maker, rows_of, store_maker
from limbeck.recipes.check_stores import stores_of
from limbeck.recipes.model import Recipe
from limbeck.recipes.parts import BYTES, Student
from limbeck.recipes.steps import Build, Capture, Evaluate, Generate, Load, Step, Train
from limbeck.recipes.steps.compare import Compare
from limbeck.rows.patterns import is_pattern
from limbeck.rows.read import STANDARD_LIBRARY, files_of, hub_commit
from limbeck.rows.standard_library import standard_library_files
from limbeck.runs.models import located, tokenizer_of
from limbeck.runs.steps import build, capture, compare, evaluate, generate, load, train
from limbeck.signals.manifest import MANIFEST

_VERSIONS = {
    Load.kind: load.VERSION,
    Build.kind: build.VERSION,
    Generate.kind: generate.VERSION,
    Capture.kind: capture.VERSION,
    Train.kind: train.VERSION,
    Evaluate.kind: evaluate.VERSION,
    Compare.kind: compare.VERSION,
}


@dataclass(frozen=True)
class Mark:
    """Fingerprint of a step, and of each thing it reads (`rows.train`, `data/train.jsonl`, ...)."""

    value: str
    reads: Mapping[str, str]


def fingerprint_steps(recipe: Recipe) -> list[Mark]:
    """One mark a step, in order; nothing is run for it.

    Raises:
        ModelError: a model that is read is not there.
        ConfigError: data on the hub that cannot be reached.
        OSError: data that is read is not there.
    """
    known: dict[str, str] = {}
    marks: list[Mark] = []
    for place, step in enumerate(recipe.steps):
        reads = _reads(step, recipe.steps[:place], marks, known)
        settings = step.model_dump(mode="json", exclude=set(WITHOUT_EFFECT))
        value = fingerprint(
            {"version": _VERSIONS[step.kind], "kind": step.kind, "step": settings, "reads": reads}
        )
        marks.append(Mark(value, reads))
    return marks


def _reads(step: Step, earlier: tuple[Step, ...], marks: list[Mark], known: dict[str, str]) -> dict[str, str]:
    if isinstance(step, Load):
        return {step.path: _data(step.path)}
    if isinstance(step, Compare):
        made = {other.out: mark for other, mark in zip(earlier, marks, strict=True)}
        return {out: made[out].value for out in step.evaluations}
    reads = {}
    for word in models_of(step).values():
        place = maker(word, earlier)
        if place is None and word not in known:
            known[word] = model_fingerprint(located(word))
        reads[word] = known[word] if place is None else marks[place].value
    if isinstance(step, Build | Train) and step.student.tokenizer is not None:
        reads[f"tokenizer {step.student.tokenizer}"] = _tokenizer(step.student)
    for word in stores_of(step).values():
        store = store_maker(word, earlier)
        manifest = Path(word).expanduser() / MANIFEST
        reads[word] = fingerprint_path(manifest) if store is None else marks[store].value
    for rows in rows_of(step).values():
        place = rows_maker(rows, earlier)
        assert place is not None, "checked with the recipe"
        reads[rows] = marks[place].value
    return reads


def _tokenizer(student: Student) -> str:
    if student.tokenizer == BYTES:
        tokenizer = tokenizer_of(student)
        return fingerprint([tokenizer_fingerprint(tokenizer), str(tokenizer.chat_template)])
    return model_fingerprint(located(str(student.tokenizer)), weights=False)


def _data(path: str) -> str:
    if path == STANDARD_LIBRARY:
        return fingerprint([[file.name, file.text] for file in standard_library_files()])
    place = Path(path).expanduser()
    if is_pattern(path):
        return fingerprint([[str(file), fingerprint_path(file)] for file in files_of(path)])
    return fingerprint_path(place) if place.exists() else fingerprint({"hub": path, "at": hub_commit(path)})
