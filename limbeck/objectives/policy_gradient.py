"""Policy gradient: raise the probability of sampled tokens by their advantage."""

from torch import Tensor

from limbeck.core.checks import check_same_shape
from limbeck.core.errors import ObjectiveError
from limbeck.core.precision import wide


def policy_gradient(
    student_logits: Tensor,
    labels: Tensor,
    advantages: Tensor,
    sampled_log_probs: Tensor,
    *,
    clip: float = 0.0,
) -> Tensor:
    """-A * r per position, with the ratio r = q(label) / mu(label) of student q and sampling policy mu.

    At q = mu the gradient is -A * grad log q(label). With `clip` it is PPO's surrogate
    max(-A * r, -A * clamp(r, 1 - clip, 1 + clip)): no gradient where the ratio has already moved
    far enough in the direction of the advantage.

    Args:
        student_logits: [..., V], any float dtype; computed in float32.
        labels: [...], the sampled ids, in [0, V).
        advantages: A, [...], constants; in on-policy distillation nats of reverse KL
            (`rollouts.returns`).
        sampled_log_probs: log mu(label), [...], constants. A policy mixed with the teacher gives
            MiniLLM's importance weight: q / mu = (q / q_old) * (q_old / mu).
        clip: half width of the interval around ratio 1, in [0, 1); 0 switches clipping off.

    Returns:
        [...], in the unit of the advantages; its value measures nothing, its gradient does.

    Raises:
        ObjectiveError: shapes differ, or clip is outside its range.

    Takes:
        Sequences that the student wrote (`rollouts` with `advantages`); the teacher speaks through them.

    Example:
        >>> import torch
        >>> labels, advantages = torch.tensor([0]), torch.tensor([2.0])
        >>> policy_gradient(torch.zeros(1, 2), labels, advantages, torch.tensor([0.5]).log())  # ratio 1
        tensor([-2.])

    Source:
        Schulman et al. 2017, arXiv:1707.06347; as used by Gu et al. 2024, arXiv:2306.08543
        (microsoft/LMOps, `minillm/losses.py:Loss._pg_loss`, clip 0.2) and by
        thinking-machines-lab/tinker-cookbook, `distillation/train_on_policy.py` (no clipping).
    """
    if not 0 <= clip < 1:
        raise ObjectiveError(f"clip must lie in [0, 1), got {clip}. Use 0 to switch clipping off.")
    check_same_shape(labels=labels, advantages=advantages, sampled_log_probs=sampled_log_probs)
    log_q = wide(student_logits).log_softmax(-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1)
    ratio = (log_q - sampled_log_probs.detach()).exp()
    loss = -advantages.detach() * ratio
    if not clip:
        return loss
    return loss.maximum(-advantages.detach() * ratio.clamp(1 - clip, 1 + clip))
