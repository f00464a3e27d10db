"""Squared error of hidden states at the last tokens of chunks, in units of the teacher's channels."""

from typing import Annotated, Literal

from torch import Tensor
from torch.nn.functional import linear

from limbeck.core.checks import check_choice, check_same_shape
from limbeck.core.errors import ObjectiveError
from limbeck.core.precision import wide
from limbeck.objectives.units.chunk import UNMERGED_CHUNK

_GUARD = 1e-8  # for channels that the teacher leaves at 0; the official epsilon


def chunk_state_mse(
    student_chunk_states: Tensor,
    teacher_chunk_states: Tensor,
    *,
    normalise: Literal["channel", "layer"] = "channel",
    projection: Tensor | None = None,
) -> Annotated[Tensor, UNMERGED_CHUNK]:
    """(s - t)^2 over the mean of t^2, mean over matched layers and width, one value a chunk.

    Args:
        student_chunk_states: s, [N, M, D'], any float dtype; computed in float32.
        teacher_chunk_states: t, [N, M, D]; a constant.
        normalise: the mean of t^2 runs over the given chunks, "channel": for each channel of each layer;
            "layer": over the channels too. So a value depends on the chunks beside it in the batch.
        projection: [D, D'], to the teacher's width, for all layers alike; None where widths are equal.
            Learnt by `objectives.trainable.projection`.

    Returns:
        [N], without unit: 1 on average for a student whose states are 0. Not reduced.

    Raises:
        ObjectiveError: shapes differ, the projection does not fit, or normalise is another word.

    Takes:
        Rows with text to predict; a live teacher with any tokenizer, and the pairs of layers.

    Example:
        >>> import torch
        >>> chunk_state_mse(torch.zeros(1, 1, 2), torch.ones(1, 1, 2))
        tensor([1.])

    Source:
        Minixhofer et al. 2025, arXiv:2503.20083; parity with bminixhofer/tokenkit,
        `tokenkit/training/losses.py:compute_alm_latents_loss` at "l2_channelwise" ("channel") and "l2"
        ("layer"). We differ: the learnt projection has no bias and starts as an isometry.
    """
    check_choice(("channel", "layer"), normalise=normalise)
    s, t = wide(student_chunk_states), wide(teacher_chunk_states.detach())
    if projection is not None:
        widths = (t.shape[-1], s.shape[-1])
        if tuple(projection.shape) != widths:
            raise ObjectiveError(
                f"projection must be {widths}, the teacher's width by the student's, got "
                f"{tuple(projection.shape)}."
            )
        s = linear(s, projection.to(s.dtype))
    elif s.shape[-1] != t.shape[-1]:
        raise ObjectiveError(
            f"widths must be equal without a projection, got student {s.shape[-1]}, teacher {t.shape[-1]}. "
            "Let the module 'projection' be learnt."
        )
    check_same_shape(student_chunk_states=s, teacher_chunk_states=t)
    over = (0,) if normalise == "channel" else (0, 2)
    size = t.square().mean(over, keepdim=True) + _GUARD
    return ((s - t).square() / size).mean((1, 2))
