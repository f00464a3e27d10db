"""limbeck distils language models: teacher to student, any published method, on one engine."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.runs import Run, run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "run"]


def __getattr__(name: str) -> Any:
    # Lazy, so that `limbeck --help` and `limbeck list` never wait for torch.
    if name in ("run", "Run"):
        from limbeck import runs

        return getattr(runs, name)
    raise AttributeError(f"module 'limbeck' has no attribute {name!r}")
