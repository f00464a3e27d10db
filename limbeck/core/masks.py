"""The only place that shifts labels.

Everywhere else, `targets[b, t]` is what output position t must predict, or `IGNORE`.
"""

import numpy as np
from numpy.typing import NDArray

IGNORE = -100
"""Target of a position nothing is learnt from (Hugging Face's value)."""


def next_token_targets(
    input_ids: NDArray[np.int64], is_target: NDArray[np.bool_], sequence_ids: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Targets of a causal model: position t must predict token t + 1.

    Args:
        input_ids: [B, T].
        is_target: [B, T], True at the *tokens* to be learnt (the answer and its end, not the prompt).
        sequence_ids: [B, T], equal within one row of data, so that no position predicts the
            first token of the row packed behind it; any negative number at padding.

    Returns:
        [B, T]; `IGNORE` where the next token is not to be learnt, is padding, or belongs to another row.
    """
    targets = np.full_like(input_ids, IGNORE)
    keep = is_target[:, 1:] & (sequence_ids[:, 1:] == sequence_ids[:, :-1]) & (sequence_ids[:, 1:] >= 0)
    targets[:, :-1] = np.where(keep, input_ids[:, 1:], IGNORE)
    return targets


def tokens_in_loss(targets: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The tokens [B, T] that `targets` teach: the other way round of `next_token_targets`."""
    loss_mask = np.zeros(targets.shape, dtype=np.bool_)
    loss_mask[:, 1:] = targets[:, :-1] != IGNORE
    return loss_mask


def at_predictors(values: NDArray[np.int64], fill: int) -> NDArray[np.int64]:
    """Values of tokens [B, T] at the positions that predict them; `fill` at the last one."""
    moved = np.full_like(values, fill)
    moved[:, :-1] = values[:, 1:]
    return moved


def shift_right(targets: NDArray[np.int64], start: int, pad: int) -> NDArray[np.int64]:
    """Decoder inputs of a seq2seq model for unshifted `targets` [B, T]: start token first, last token out."""
    shifted = np.full_like(targets, pad)
    shifted[:, 0] = start
    shifted[:, 1:] = np.where(targets[:, :-1] == IGNORE, pad, targets[:, :-1])
    return shifted
