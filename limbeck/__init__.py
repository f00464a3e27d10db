"""limbeck distils language models: teacher to student, any published method, on one engine."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck import objectives, recipes
    from limbeck.runs import Run, run
    from limbeck.runs.trainer import DistilTrainer

__version__ = "0.1.0"
__all__ = ["DistilTrainer", "Run", "__version__", "objectives", "recipes", "run"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `limbeck --help` and `limbeck list` never wait for torch.
    if name in ("run", "Run"):
        return getattr(import_module("limbeck.runs"), name)
    if name == "DistilTrainer":
        return import_module("limbeck.runs.trainer").DistilTrainer
    if name in ("objectives", "recipes"):
        return import_module(f"limbeck.{name}")
    raise AttributeError(f"module 'limbeck' has no attribute {name!r}")


def __dir__() -> list[str]:
    return list(__all__)
