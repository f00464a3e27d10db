"""From a word and `key=value` inputs to one checked recipe, every mistake said in one go.

A key is, in this order: an input of the recipe function; a dotted path into an input
(`student.cut`, `columns.rationale`) or into the recipe (`steps.student.max_steps`); or a
setting of training, which then applies to every train step.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from limbeck.core.catalogue import catalogue
from limbeck.core.config import Config, problems_of
from limbeck.core.errors import ConfigError, Problem, UserError
from limbeck.core.lookup import did_you_mean
from limbeck.recipes.check import check
from limbeck.recipes.inputs import StudentLike, TeacherLike
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Load, Train
from limbeck.recipes.students import Student
from limbeck.recipes.teachers import Teacher
from limbeck.recipes.text import read_yaml
from limbeck.runs.assembly.measured_teachers import with_measured_teachers
from limbeck.runs.checking.preflight import Preflight, input_errors
from limbeck.runs.checking.problems import Problems
from limbeck.runs.overrides import STEP_SETTINGS, overridden, unknown_keys

SUFFIXES = (".yaml", ".yml")
_EXAMPLES = {
    "teacher": "Qwen/Qwen3-4B",
    "student": "Qwen/Qwen3-0.6B",
    "data": "train.jsonl",
}
_TASK_EXAMPLES = {
    "minilm": {"teacher": "microsoft/MiniLM-L12-H384-uncased"},
    "pkd": {"teacher": "google-bert/bert-base-uncased"},
    "step_by_step": {"student": "google/t5-v1_1-small"},
}
# A word for a model is read by its class itself: the union with str would report every variant.
_READ_AS: dict[Any, Any] = {
    StudentLike: Student,
    StudentLike | None: Student | None,
    TeacherLike: Teacher,
    TeacherLike | None: Teacher | None,
}


@dataclass
class _Keys:
    """The user's keys, sorted by what they are for."""

    inputs: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    paths: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class _RefusedError(ConfigError):
    """Problems, and what could be made of the recipe: its plain data, or its inputs."""

    def __init__(self, problems: Sequence[Problem], data: Any = None, inputs: Any = None) -> None:
        super().__init__(_once(problems))
        self.data = data
        self.inputs = inputs or {}


def resolve(
    recipe: str | Path | Recipe, inputs: Mapping[str, Any], outset: Preflight | None = None
) -> Recipe:
    """The recipe a user means, complete and checked between its steps.

    Args:
        recipe: name of a recipe, path of a recipe file, or a recipe.
        inputs: the recipe's inputs and overrides by key; values already parsed (`parse_pairs`).
        outset: of a run; files, models and the run folder are then looked at in the same go.

    Raises:
        ConfigError: anything is unknown, missing, of the wrong type, or refers to nothing.
        UserError: what the outset finds, with these.
    """
    problems = Problems()
    try:
        resolved = _from_parts(recipe, inputs)
        wrong = check(resolved)
        if wrong:
            raise _RefusedError(wrong, resolved.to_data())
    except _RefusedError as error:
        problems.note(ConfigError(error.problems))
        if outset is not None:
            for other in (*outset.errors(error.data, is_whole=False), *input_errors(error.inputs)):
                problems.note(other)
        problems.refuse()
        raise
    if outset is not None:
        for other in outset.errors(resolved.to_data(), is_whole=True):
            problems.note(other)
        problems.refuse()
    return resolved


def parse_pairs(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` words of a command line, values read as YAML.

    Raises:
        ConfigError: a word has no `=`, no key, a value that is no YAML, or a key that was there before.
    """
    parsed: dict[str, Any] = {}
    problems = []
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip().removeprefix("--")
        if pair.startswith("-") and not equals:
            problems.append(Problem(pair, "is no option here; settings are written key=value. See --help."))
        elif not equals or not key:
            problems.append(Problem(pair, "must be key=value, for example max_steps=100."))
        elif not text.strip():
            problems.append(Problem(key, "must have a value, got nothing; write key=null for none."))
        elif key in parsed:
            problems.append(Problem(key, f"is given twice: {parsed[key]!r} and {text!r}. Keep one."))
        else:
            try:
                parsed[key] = read_yaml(text)
            except ConfigError as error:
                problems += [Problem(key, problem.message) for problem in error.problems]
    if problems:
        raise ConfigError(problems)
    return parsed


def is_file(recipe: str | Path) -> bool:
    """Whether the word means a recipe file and not the name of a recipe."""
    return Path(recipe).suffix in SUFFIXES or isinstance(recipe, Path)


def _from_parts(recipe: str | Path | Recipe, inputs: Mapping[str, Any]) -> Recipe:
    if isinstance(recipe, Recipe):
        return _from_data(recipe.to_data(), inputs)
    if is_file(recipe):
        return _from_data(_read_file(Path(recipe)), inputs)
    recipes = catalogue("recipes")
    if recipe not in recipes:
        advice = did_you_mean(str(recipe), recipes)
        raise ConfigError(
            f"unknown recipe '{recipe}'.{advice} A recipe file ends with .yaml; see `limbeck list recipes`."
        )
    return _from_function(str(recipe), recipes[str(recipe)].load(), inputs)


def _read_file(path: Path) -> Any:
    if not path.is_file():
        others = [other.name for other in path.parent.glob("*.y*ml")]
        near = (
            did_you_mean(path.name, others)
            if others
            else f" There is no recipe file in {path.parent} either."
        )
        raise ConfigError(f"recipe must be an existing file, got {path}.{near}")
    try:
        return read_yaml(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(Problem(str(path), f"must be UTF-8 text; {error.reason}.")) from None
    except ConfigError as error:
        raise ConfigError([Problem(str(path), problem.message) for problem in error.problems]) from None


def _from_data(data: Any, inputs: Mapping[str, Any]) -> Recipe:
    keys = _sorted_keys(inputs, {})
    keys.problems += unknown_keys(set(keys.inputs), None, (), data)
    keys.settings, problems = _validated(_settings_model({}), keys.settings)
    changed, more = overridden(data, keys.settings, keys.paths)
    problems += keys.problems + more
    try:
        resolved = Recipe.from_data(changed)
    except ConfigError as error:
        raise _RefusedError([*problems, *error.problems], changed) from None
    if problems:
        raise _RefusedError([*problems, *check(resolved)], changed)
    return resolved


def _from_function(name: str, make: Callable[..., Recipe], inputs: Mapping[str, Any]) -> Recipe:
    parameters = inspect.signature(make).parameters
    keys = _sorted_keys(inputs, parameters)
    wanted, problems = _validated(_settings_model(parameters), {**keys.inputs, **keys.settings})
    problems += keys.problems
    missing = [
        key for key, value in parameters.items() if value.default is value.empty and key not in keys.inputs
    ]
    if missing:
        problems.append(
            Problem(name, f"needs {', '.join(missing)}. For example: {_example(name, parameters)}")
        )
    wrong = {problem.where.split(".")[0] for problem in problems}
    required = {key for key, value in parameters.items() if value.default is value.empty}
    if missing or required & wrong:
        raise _RefusedError(problems, inputs=wanted)
    # Wrong values fall back to their defaults here, so that mistakes further down are found in the same go.
    given = {key: value for key, value in wanted.items() if key in parameters and key not in wrong}
    try:
        made = with_measured_teachers(make(**given))
    except ValidationError as error:
        raise _RefusedError([*problems, *problems_of(error, Train)], inputs=wanted) from None
    except UserError as error:
        raise _RefusedError([*problems, *error.problems], inputs=wanted) from None
    unknown = {problem.where for problem in problems if problem.message.startswith("unknown key")}
    problems = [problem for problem in problems if problem.where not in unknown]
    problems += unknown_keys(unknown, name, parameters, made.to_data())
    keys.settings = {
        key: value for key, value in wanted.items() if key not in parameters and key not in wrong
    }
    if problems or keys.settings or keys.paths:
        changed, more = overridden(made.to_data(), keys.settings, keys.paths)
        try:
            made = Recipe.from_data(changed)
        except ConfigError as error:
            raise _RefusedError([*problems, *more, *error.problems], changed) from None
        if problems or more:
            raise _RefusedError([*problems, *more], changed)
    return made


def _sorted_keys(inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> _Keys:
    keys = _Keys()
    for key, value in inputs.items():
        head, _, rest = key.partition(".")
        if rest and head in parameters:
            inner = keys.inputs.setdefault(head, {})
            if not isinstance(inner, dict):
                keys.problems.append(Problem(key, f"cannot be set beside {head}={inner!r}. Keep one."))
                continue
            _put(inner, rest.split("."), value)
        elif rest:
            keys.paths[key] = value
        elif key in STEP_SETTINGS and key not in parameters:
            keys.settings[key] = value
        else:
            keys.inputs[key] = value
    return keys


def _put(values: dict[str, Any], path: Sequence[str], value: Any) -> None:
    for step in path[:-1]:
        values = values.setdefault(step, {})
    values[path[-1]] = value


def _settings_model(parameters: Mapping[str, inspect.Parameter]) -> type[Config]:
    """Inputs of a recipe and settings of training, with the ranges of the fields they are named after."""
    fields: dict[str, Any] = {}
    for key in STEP_SETTINGS:
        known = Train.model_fields[key]
        fields[key] = (known.annotation, _with_default(known, known.default))
    for key, parameter in parameters.items():
        field = Train.model_fields.get(key) or Load.model_fields.get(key)
        default = ... if parameter.default is parameter.empty else parameter.default
        if field is not None and field.annotation == parameter.annotation:
            fields[key] = (field.annotation, _with_default(field, default))
        else:
            fields[key] = (_READ_AS.get(parameter.annotation, parameter.annotation), default)
    return create_model("Inputs", __base__=_Inputs, **{key: fields[key] for key in sorted(fields)})


class _Inputs(Config):
    model_config = ConfigDict(arbitrary_types_allowed=True)


def _with_default(known: FieldInfo, default: Any) -> FieldInfo:
    changed = deepcopy(known)
    changed.default = default
    changed.default_factory = None
    return changed


def _validated(model: type[Config], values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """The values that are right, in the types of the fields, and a problem for each other one."""
    required = {key for key, known in model.model_fields.items() if known.is_required()}
    right = dict(values)
    problems: list[Problem] = []
    try:
        checked = model.model_validate(right)
    except ValidationError as error:
        found = problems_of(error, model)
        problems = [problem for problem in found if not _is_missing(problem, required, values)]
        wrong = {problem.where.split(".")[0] for problem in problems}
        right = {key: value for key, value in values.items() if key not in wrong}
        return right, problems
    return {key: getattr(checked, key) for key in values}, problems


def _is_missing(problem: Problem, required: set[str], values: Mapping[str, Any]) -> bool:
    return problem.where in required and problem.where not in values


def _example(name: str, parameters: Mapping[str, inspect.Parameter]) -> str:
    words = {**_EXAMPLES, **_TASK_EXAMPLES.get(name, {})}
    required = [key for key, value in parameters.items() if value.default is value.empty]
    return f"limbeck run {name} " + " ".join(f"{key}={words.get(key, '...')}" for key in required)


def _once(problems: Sequence[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))
