"""What can be seen of a recipe's files, models and run folder before torch is imported: a stat each.

Works on plain data, so that missing files are found in a recipe that is wrong elsewhere, too.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import TypeAdapter, ValidationError

from limbeck.assets import asset_names
from limbeck.core.config import Config, models_in
from limbeck.core.errors import ConfigError, ModelError, Problem, UserError
from limbeck.core.model_words import model_word, place_of
from limbeck.recipes.references import Names, Reference, What, references_in
from limbeck.recipes.steps import STEPS
from limbeck.recipes.students import BYTES, Student
from limbeck.recipes.teachers import Teacher
from limbeck.rows.problems import missing_data
from limbeck.runs.record.folder import RunFolder

_NAMED = 4  # folders in a message
_ASSETS = "assets/"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Preflight:
    """Where a run is to lie.

    Attributes:
        out: the folder; None for `runs/<name>`.
        overwrite: whether it may replace what is there.
        looks_only: nothing will be written, so what lies there is no error.
    """

    out: Path | None = None
    overwrite: bool = False
    looks_only: bool = False

    def folder(self, name: str) -> RunFolder:
        """The run folder of a recipe of this name."""
        return RunFolder(self.out if self.out is not None else Path("runs") / name)

    def errors(self, data: Any, *, is_whole: bool) -> Iterator[UserError]:
        """What is wrong with the places that a recipe's plain data names.

        Args:
            data: as of `Recipe.to_data`, or as the user wrote it.
            is_whole: whether it is a recipe; else only its name is compared with the run folder's.
        """
        if not isinstance(data, dict):
            return
        yield from _missing(data.get("steps"))
        name = data.get("name")
        if self.looks_only or (self.out is None and not isinstance(name, str)):
            return
        try:
            self.folder(str(name)).check(data, overwrite=self.overwrite, is_whole=is_whole)
        except UserError as error:
            yield error


def input_errors(inputs: Mapping[str, Any]) -> Iterator[UserError]:
    """Missing data and models among the inputs of a recipe that could not be made."""
    for one in _named(_Inputs, inputs):
        for error in _errors(one):
            yield type(error)(
                [Problem(problem.where.removesuffix(".model"), problem.message) for problem in error.problems]
            )


class _Inputs(Config):
    """The usual inputs of recipes that name something."""

    data: Annotated[str, Names("data")]
    teacher: Teacher
    student: Student


def missing_tokenizer(word: str | None) -> str | None:
    """What is wrong with a tokenizer word that can be seen to be a place and no tokenizer; None otherwise."""
    if word is None or word == BYTES or word.removeprefix(_ASSETS) in asset_names():
        return None
    path = Path(word).expanduser()
    wanted = f"tokenizer must be a folder with a {_TOKENIZER_FILES[0]}, a hub id or the word {BYTES}"
    if path.is_dir() and not any((path / name).is_file() for name in _TOKENIZER_FILES):
        return f"{wanted}, got {path}, which has none."
    if path.is_file():
        return f"{wanted}, got the file {path}. Name its folder."
    if not path.exists() and (word.startswith((".", "/", "~")) or word.count("/") > 1):
        return f"{wanted}, got {word}, which does not exist."
    return None


def missing_model(word: str) -> str | None:
    """What is wrong with a model word that can be seen to be a place and no model; None otherwise."""
    named = model_word(word)
    word, path = named.place, Path(named.place).expanduser()
    if word.removeprefix(_ASSETS) in asset_names() or (path / (named.gguf_file or "config.json")).is_file():
        return None
    if path.is_dir():
        if named.gguf_file or (path / "adapter_config.json").is_file() or any(path.glob("*.gguf")):
            return None  # said in full where the model is read
        return f"model must be a folder with a config.json, got {path}, which has none.{_near(path, path)}"
    if path.is_file():
        return (
            None
            if path.suffix == ".gguf"
            else f"model must be a folder, got the file {path}. Name its folder."
        )
    if word.startswith((".", "/", "~")) or word.count("/") > 1:
        near = _near(path, path.parent)
        return f"model must be an existing folder with a config.json, got {word}, which does not exist.{near}"
    return None


def _missing(steps: Any) -> Iterator[UserError]:
    found = [
        (f"steps.{place}.{kind}", kind, fields)
        for place, step in enumerate(steps if isinstance(steps, list) else [])
        for kind, fields in (step.items() if isinstance(step, dict) else ())
        if isinstance(fields, dict)
    ]
    known = {str(fields.get("out")) for _, _, fields in found}  # and then: a wrong word is said once
    for where, kind, fields in found:
        for one in _named(STEPS[kind], fields) if kind in STEPS else ():
            if one.names.what in _LOOKS and place_of(one.word) not in known and one.word not in known:
                for error in _errors(one):
                    known.add(one.word)
                    yield type(error)([problem.below(where) for problem in error.problems])


def _named(kind: type[Config], fields: Mapping[str, Any]) -> Iterator[Reference]:
    """What plain data of a configuration names, as far as its fields are right."""
    for name, field in kind.model_fields.items():
        marks = [mark for mark in field.metadata if isinstance(mark, Names)]
        if name not in fields or not (marks or any(models_in(field.annotation))):
            continue
        try:
            value = TypeAdapter(field.rebuild_annotation()).validate_python(fields[name])
        except ValidationError:
            continue  # said with the recipe
        yield from references_in(value, name, marks[0] if marks else None)


def _errors(one: Reference) -> Iterator[UserError]:
    """What is wrong with a place that is named, under the field that the survey says it under."""
    look, kind = _LOOKS[one.names.what]
    if message := look(one.word):
        path = "student" if one.names.what == "model" and one.path.startswith("student.") else one.path
        yield kind(Problem("" if path == "path" else path, message))


_LOOKS: Mapping[What, tuple[Callable[[str], str | None], type[UserError]]] = {
    "data": (missing_data, ConfigError),
    "model": (missing_model, ModelError),
    "tokenizer": (missing_tokenizer, ModelError),
}


def _near(path: Path, place: Path) -> str:
    """Models in a folder: the one with a like name, if any."""
    models = sorted(file.parent.name for file in place.glob("*/config.json"))
    if path != place:
        models = difflib.get_close_matches(path.name, models, n=1) or models
    if not models:
        return f" There is no model folder in {place} either."
    listed = ", ".join(str(place / name) for name in models[:_NAMED])
    return f" Did you mean {listed}?"
