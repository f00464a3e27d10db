"""Fingerprints of steps: equal if and only if configuration and everything read are equal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from limbeck.core.fingerprint import fingerprint, fingerprint_path, tokenizer_fingerprint
from limbeck.core.models import model_fingerprint
from limbeck.core.prompting import load_prompt, prompts_named
from limbeck.recipes.calls import Call
from limbeck.recipes.effects import with_effect
from limbeck.recipes.model import Recipe
from limbeck.recipes.references import What
from limbeck.recipes.steps import Step
from limbeck.recipes.steps.step import maker
from limbeck.recipes.students import BYTES
from limbeck.rows.patterns import is_pattern
from limbeck.rows.read import STANDARD_LIBRARY, files_of, hub_commit
from limbeck.rows.standard_library import standard_library_files
from limbeck.runs.assembly.models import located
from limbeck.runs.steps import module_of
from limbeck.signals.manifest import MANIFEST
from limbeck.students import byte_tokenizer


@dataclass(frozen=True)
class StepFingerprint:
    """Fingerprint of a step, and of each thing it reads (`rows.train`, `data/train.jsonl`, ...)."""

    value: str
    reads: Mapping[str, str]


def fingerprint_steps(recipe: Recipe) -> list[StepFingerprint]:
    """One mark a step, in order; nothing is run for it.

    Raises:
        ModelError: a model that is read is not there.
        ConfigError: data on the hub that cannot be reached, or a prompt that is not there.
        OSError: data that is read is not there.
    """
    known: dict[str, str] = {}
    marks: list[StepFingerprint] = []
    for place, step in enumerate(recipe.steps):
        reads = _reads(step, recipe.steps[:place], marks, known)
        settings = with_effect(step.kind, step.model_dump(mode="json"))
        value = fingerprint(
            {"version": module_of(step).VERSION, "kind": step.kind, "step": settings, "reads": reads}
        )
        marks.append(StepFingerprint(value, reads))
    return marks


def _reads(
    step: Step, earlier: Sequence[Step], marks: list[StepFingerprint], known: dict[str, str]
) -> dict[str, str]:
    reads = {}
    for one in step.reads():
        what, word = one.names.what, one.word
        made = maker(word, earlier, what)
        key = f"tokenizer {word}" if what == "tokenizer" else word
        if made is not None:
            reads[key] = marks[made].value
        elif what in _OUTSIDE:
            if f"{what} {word}" not in known:
                known[f"{what} {word}"] = _OUTSIDE[what](word)
            reads[key] = known[f"{what} {word}"]
    for call in _calls(step):
        for word, _ in prompts_named(call.entry.load(), call.options):
            reads[f"prompt {word}"] = load_prompt(word).fingerprint
    return reads


def _calls(step: Step) -> Iterator[Call]:
    """Functions that a step names, which may ask by prompts."""
    for name in type(step).model_fields:
        value = getattr(step, name)
        yield from (one for one in (value if isinstance(value, tuple) else [value]) if isinstance(one, Call))


def _model(word: str) -> str:
    return model_fingerprint(located(word))


def _store(word: str) -> str:
    return fingerprint_path(Path(word).expanduser() / MANIFEST)


def _tokenizer(word: str) -> str:
    if word == BYTES:
        tokenizer = byte_tokenizer()
        return fingerprint([tokenizer_fingerprint(tokenizer), str(tokenizer.chat_template)])
    return model_fingerprint(located(word), weights=False)


def _data(path: str) -> str:
    if path == STANDARD_LIBRARY:
        return fingerprint([[file.name, file.text] for file in standard_library_files()])
    place = Path(path).expanduser()
    if is_pattern(path):
        return fingerprint([[str(file), fingerprint_path(file)] for file in files_of(path)])
    return fingerprint_path(place) if place.exists() else fingerprint({"hub": path, "at": hub_commit(path)})


_OUTSIDE: Mapping[What, Callable[[str], str]] = {
    "data": _data,
    "model": _model,
    "store": _store,
    "tokenizer": _tokenizer,
}
"""Fingerprints of what no step makes."""
