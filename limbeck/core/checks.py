"""Guards for the entrance of public functions; one message template."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from limbeck.core.errors import ObjectiveError

if TYPE_CHECKING:
    from torch import Tensor


def check_same_shape(**tensors: "Tensor") -> None:
    """Raise ObjectiveError unless all tensors have one shape; the message names each."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ObjectiveError(f"shapes must be equal, got {listed}. Cut both to the shared vocabulary first.")


def check_fraction(**values: float) -> None:
    """Raise ObjectiveError unless every value lies in [0, 1]."""
    for name, value in values.items():
        if not 0 <= value <= 1:
            raise ObjectiveError(f"{name} must lie in [0, 1], got {value}.")


def check_inside_fraction(**values: float) -> None:
    """Raise ObjectiveError unless every value lies in (0, 1), both ends excluded."""
    for name, value in values.items():
        if not 0 < value < 1:
            raise ObjectiveError(f"{name} must lie in (0, 1), both ends excluded, got {value}.")


def check_positive(**values: float) -> None:
    """Raise ObjectiveError unless every value is finite and above 0."""
    for name, value in values.items():
        number = float(value.detach()) if hasattr(value, "detach") else value  # a learnt one is a tensor
        if not (math.isfinite(number) and number > 0):
            raise ObjectiveError(f"{name} must be above 0 and finite, got {value}.")


def check_choice(allowed: Sequence[str], **values: str) -> None:
    """Raise ObjectiveError unless every value is one of the allowed words."""
    for name, value in values.items():
        if value not in allowed:
            listed = " or ".join(f"'{word}'" for word in allowed)
            raise ObjectiveError(f"{name} must be {listed}, got '{value}'.")


def check_not_negative(**values: float) -> None:
    """Raise ObjectiveError unless every value is finite and at least 0."""
    for name, value in values.items():
        if not (math.isfinite(value) and value >= 0):
            raise ObjectiveError(f"{name} must be at least 0 and finite, got {value}.")


def check_attention_mask(attention_mask: "Tensor", **states: "Tensor") -> None:
    """Raise ObjectiveError unless the mask [B, T] fits all states [B, T, D] and every row has a token."""
    shape = tuple(attention_mask.shape)
    for name, tensor in states.items():
        if tuple(tensor.shape[:2]) != shape:
            raise ObjectiveError(
                f"attention_mask must be {tuple(tensor.shape[:2])} to fit the {name}'s states "
                f"{tuple(tensor.shape)}, got {shape}."
            )
    if not attention_mask.bool().any(-1).all():
        raise ObjectiveError("attention_mask must have a token in every row, got a row of padding.")
