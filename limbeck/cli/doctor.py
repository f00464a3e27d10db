"""`limbeck doctor`: what this machine has, and whether two models speak the same token ids."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from limbeck.cli.quiet import silence
from limbeck.cli.tokenizers import load_alone, say_vocabulary, tokenizer_alone
from limbeck.core.config import validate
from limbeck.core.errors import ConfigError, ModelError, Problem
from limbeck.core.lookup import unknown
from limbeck.recipes.students import Student
from limbeck.recipes.teachers import Teacher
from limbeck.rows.problems import missing_data
from limbeck.runs.checking.preflight import missing_model, missing_tokenizer
from limbeck.runs.checking.problems import Problems
from limbeck.runs.resolve import parse_pairs

if TYPE_CHECKING:
    from limbeck.runs.assembly.models import ModelInfo

_MODELS = ("teacher", "student")
_KEYS = (*_MODELS, "data")


def doctor_command(pairs: Sequence[str]) -> None:
    """Print the machine; with models or tokenizers, whether they are compatible; with data, what it holds.

    Raises:
        ConfigError: an unknown key.
        ModelError: a model is not there.
        VocabularyError: the token ids agree, but a head is too small or a text is cut otherwise.
    """
    given = parse_pairs(pairs)
    problems = [Problem(key, unknown("key", key, _KEYS)) for key in given if key not in _KEYS]
    if problems:
        raise ConfigError(problems)
    data = given.pop("data", None)
    alone = {name: path for name, value in given.items() if (path := tokenizer_alone(value))}
    students = _as_students({name: value for name, value in given.items() if name not in alone})
    silence()
    import psutil
    import torch

    from limbeck.runs.checking.plan import gigabytes
    from limbeck.runs.record.versions import environment

    found = environment()
    machine = found["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in found["packages"].items())
    rows = [
        ("limbeck", f"{found['limbeck']}, Python {found['python']}"),
        ("packages", packages),
        ("platform", machine["platform"]),
        (
            "processor",
            f"{machine['processor']}, {psutil.cpu_count()} cores, {machine['threads']} threads used",
        ),
        ("memory", f"{gigabytes(psutil.virtual_memory().available)} free of {gigabytes(machine['memory'])}"),
        ("disk", f"{gigabytes(shutil.disk_usage(Path.cwd()).free)} free in {Path.cwd()}"),
        ("accelerator", _accelerator()),
        (
            "bf16",
            "yes" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "on the CPU only",
        ),
    ]
    for name, text in rows:
        print(f"{name:<12} {text}")
    shapes = _infos(students)
    for name, shape in shapes.items():
        _say_model(name, shape)
    for name, path in alone.items():
        print(f"{name:<12} {path}: a tokenizer alone")
    if data is not None and len(given) < len(_MODELS):
        _say_data(str(data))
    if len(given) == len(_MODELS):
        _say_vocabulary(shapes, alone, None if data is None else str(data))


def _say_data(data: str) -> None:
    """What limbeck reads of a file; of one without known columns, why it is none."""
    from limbeck.rows.kinds import kind_of
    from limbeck.rows.load import load_rows

    problems = Problems()
    with problems.at("data"):
        if missing := missing_data(data):
            raise ConfigError(missing)
        rows = load_rows(data)
        kind = kind_of(rows.column_names)
        others = [name for name in rows.column_names if name not in (*kind.columns, "id")]
        beside = f"; beside these: {', '.join(others)}" if others else ""
        print(f"{'data':<12} {data}: {len(rows):,} rows of {kind.value}{beside}")
    problems.refuse()


def _accelerator() -> str:
    import torch

    from limbeck.runs.checking.plan import gigabytes

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{torch.cuda.get_device_name()}, {gigabytes(free)} free of {gigabytes(total)}"
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return "none: everything runs on the CPU"


def _as_students(given: Mapping[str, Any]) -> dict[str, Student]:
    """Models as a recipe reads them: a word, or for the student a mapping such as `{cut: DIR, layers: 2}`."""
    problems, students = Problems(), {}
    for name, value in given.items():
        fields = value if isinstance(value, dict) else {"model": str(value)}
        with problems.at(name):
            if name == "teacher":
                fields = validate(Teacher, fields).model_dump()
            students[name] = validate(Student, fields)
            message = missing_model(students[name].origin) or missing_tokenizer(students[name].tokenizer)
            if message:
                raise ModelError(message)
    problems.refuse()
    return students


def _infos(students: Mapping[str, Student]) -> "dict[str, ModelInfo]":
    from limbeck.runs.assembly.models import read_info
    from limbeck.runs.assembly.students import made_info

    problems, shapes = Problems(), {}
    for name, student in students.items():
        with problems.at(name):
            shapes[name] = made_info(student, read_info(student.origin), None)
    problems.refuse()
    return shapes


def _say_model(name: str, shape: "ModelInfo") -> None:
    size = f"{shape.parameters:,} parameters, {shape.depth} layers"
    print(f"{name:<12} {shape.tokenizer}: {shape.kind or 'unknown kind'}, {size}")


def _say_vocabulary(shapes: "Mapping[str, ModelInfo]", alone: Mapping[str, Path], data: str | None) -> None:
    from limbeck.runs.assembly.models import tokenizer_of

    problems, tokenizers = Problems(), {name: load_alone(path) for name, path in alone.items()}
    for name, shape in shapes.items():
        with problems.at(name):
            tokenizers[name] = tokenizer_of(shape)
    problems.refuse()
    sizes = {name: len(tokenizer) for name, tokenizer in tokenizers.items()}
    sizes |= {name: shape.vocabulary for name, shape in shapes.items()}
    say_vocabulary(tokenizers["student"], tokenizers["teacher"], (sizes["student"], sizes["teacher"]), data)
