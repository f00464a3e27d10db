"""The composition root: recipe -> plan -> execution -> record; the only code that knows all axes."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from limbeck.runs.launch import Run, run

__all__ = ["Run", "run"]


def __getattr__(name: str) -> Any:
    # Lazy, so that resolving a recipe never waits for torch.
    if name in __all__:
        from limbeck.runs import launch

        return getattr(launch, name)
    raise AttributeError(f"module 'limbeck.runs' has no attribute {name!r}")
