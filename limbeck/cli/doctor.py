"""`limbeck doctor`: what this machine has, and whether two models speak the same token ids."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from limbeck.cli.quiet import silence
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lookup import unknown
from limbeck.runs.resolve import parse_pairs

_KEYS = ("teacher", "student")


def doctor_command(pairs: Sequence[str]) -> None:
    """Print the machine; with models, their vocabularies too.

    Raises:
        ConfigError: an unknown key.
        VocabularyError: the models do not fit together.
    """
    given = parse_pairs(pairs)
    problems = [Problem(key, unknown("key", key, _KEYS)) for key in given if key not in _KEYS]
    if problems:
        raise ConfigError(problems)
    silence()
    import psutil
    import torch

    from limbeck.runs.plan import gigabytes
    from limbeck.runs.record import environment

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
    for name, word in given.items():
        _say_model(name, str(word))
    if len(given) == len(_KEYS):
        _say_vocabulary(str(given["student"]), str(given["teacher"]))


def _accelerator() -> str:
    import torch

    from limbeck.runs.plan import gigabytes

    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        return f"{torch.cuda.get_device_name()}, {gigabytes(free)} free of {gigabytes(total)}"
    if torch.backends.mps.is_available():
        return "Apple GPU"
    return "none: everything runs on the CPU"


def _say_model(name: str, word: str) -> None:
    from limbeck.runs.models import read_shape

    shape = read_shape(word)
    size = f"{shape.parameters:,} parameters, {shape.depth} layers"
    print(f"{name:<12} {word}: {shape.kind or 'unknown kind'}, {size}")


def _say_vocabulary(student: str, teacher: str) -> None:
    from limbeck.core.models import load_tokenizer
    from limbeck.runs.models import read_shape
    from limbeck.teachers import shared_vocabulary

    shapes = [read_shape(word) for word in (student, teacher)]
    tokenizers = [load_tokenizer(shape.tokenizer) for shape in shapes]
    shared = shared_vocabulary(*tokenizers, *(shape.vocabulary for shape in shapes))
    print(f"{'vocabulary':<12} {shared.note}, {shared.overlap:.1%} of all tokens under the same id")
