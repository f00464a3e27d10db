"""Fingerprints of steps: equal if and only if configuration and everything read are equal."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from limbeck.core.fingerprint import fingerprint, fingerprint_path, tokenizer_fingerprint
from limbeck.core.models import model_fingerprint
from limbeck.recipes.check import maker, models_of, rows_maker, rows_of, store_maker
from limbeck.recipes.check_stores import stores_of
from limbeck.recipes.compare import Compare
from limbeck.recipes.model import Build, Load, Recipe, Step, Train
from limbeck.rows.read import STANDARD_LIBRARY
from limbeck.rows.standard_library import standard_library_files
from limbeck.runs.models import located, tokenizer_of
from limbeck.signals.manifest import MANIFEST

VERSION = 1
"""Of what steps write; raised when an artefact of an earlier limbeck can no longer be used."""


@dataclass(frozen=True)
class Mark:
    """Fingerprint of a step, and of each thing it reads (`rows.train`, `data/train.jsonl`, ...)."""

    value: str
    reads: Mapping[str, str]


def fingerprint_steps(recipe: Recipe) -> list[Mark]:
    """One mark a step, in order; nothing is run for it.

    Raises:
        ModelError: a model that is read is not there.
        OSError: data that is read is not there.
    """
    known: dict[str, str] = {}
    marks: list[Mark] = []
    for place, step in enumerate(recipe.steps):
        reads = _reads(step, recipe.steps[:place], marks, known)
        value = fingerprint(
            {"version": VERSION, "kind": step.kind, "step": step.model_dump(mode="json"), "reads": reads}
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
        tokenizer = tokenizer_of(step.student)
        parts = [tokenizer_fingerprint(tokenizer), str(tokenizer.chat_template)]
        reads[f"tokenizer {step.student.tokenizer}"] = fingerprint(parts)
    for word in stores_of(step).values():
        store = store_maker(word, earlier)
        manifest = Path(word).expanduser() / MANIFEST
        reads[word] = fingerprint_path(manifest) if store is None else marks[store].value
    for rows in rows_of(step).values():
        place = rows_maker(rows, earlier)
        assert place is not None, "checked with the recipe"
        reads[rows] = marks[place].value
    return reads


def _data(path: str) -> str:
    if path == STANDARD_LIBRARY:
        return fingerprint([[file.name, file.text] for file in standard_library_files()])
    place = Path(path).expanduser()
    return fingerprint_path(place) if place.exists() else fingerprint({"hub": path})
