"""Log-probabilities of the two answers of each pair."""

import torch
from torch import Tensor

from limbeck.core.checks import check_same_shape
from limbeck.core.errors import ObjectiveError


def pair_log_probs(log_probs: Tensor, loss_mask: Tensor, *, mean: bool) -> Tensor:
    """Log-probabilities of whole answers, pair by pair.

    Args:
        log_probs: [B, T] of the target at every position; anything where nothing is learnt.
        loss_mask: [B, T] True at the tokens of the answers. Rows come in pairs, the chosen answer first, as
            `task: preference` lays them out.
        mean: divide by the number of tokens.

    Returns:
        [B / 2, 2].

    Raises:
        ObjectiveError: the number of rows is odd, or the shapes differ.
    """
    check_same_shape(log_probs=log_probs, loss_mask=loss_mask)
    if log_probs.shape[0] % 2:
        raise ObjectiveError(
            f"pairs must come as two rows each, got {log_probs.shape[0]} rows. Set task: preference."
        )
    sums = torch.where(loss_mask, log_probs.float(), 0.0).sum(-1)
    return (sums / loss_mask.sum(-1).clamp_min(1) if mean else sums).view(-1, 2)
