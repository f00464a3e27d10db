"""Log-probabilities of sampled tokens under student and teacher, from their own forward passes."""

from collections.abc import Callable

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.outputs import Outputs
from limbeck.core.rollouts import RolloutSettings
from limbeck.inference.sample import nucleus_mass
from limbeck.rollouts.logits import logit_chunks
from limbeck.rollouts.returns import advantages

Ask = Callable[[Batch], Outputs]


def scores(
    batch: Batch, settings: RolloutSettings, *, student: Ask, teacher: Ask, scored: str = "student"
) -> dict[str, Tensor]:
    """What `policy_gradient` and importance weights need, [B, T] each, 0 outside sampled tokens.

    Returns:
        advantages: before whitening.
        sampled_log_probs: log-probability under the policy that wrote, at its sampling temperature and,
            with `top_p` below 1, among the tokens it could draw.
        importance: student over that policy, for each token alone (MiniLLM's w).
    """
    assert batch.groups is not None
    chosen = batch.groups == batch.group_names.index(scored)
    labels = batch.targets[chosen] if batch.targets is not None else None
    assert labels is not None
    asked = student(batch), teacher(batch)
    q, p = (label_log_probs(one, chosen, labels) for one in asked)
    warmth = settings.sampling_temperature  # above 0 wherever tokens are judged
    by_student, by_teacher = q, p
    if warmth != 1:
        by_student, by_teacher = (label_log_probs(one, chosen, labels, warmth) for one in asked)
    written = _mixed(by_student, by_teacher, settings.guide_share)
    if settings.top_p < 1:
        written = written - _log_nucleus(*asked, chosen, settings)
    found = {
        "sampled_log_probs": _spread(written, chosen),
        "importance": _spread((q - written).exp(), chosen),
    }
    if settings.advantages is not None:
        rewards = _spread(p - q, chosen)
        found["advantages"] = advantages(rewards, chosen, settings.advantages, sequences=batch.sequences)
    return found


@torch.no_grad()
def label_log_probs(outputs: Outputs, chosen: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """[N] log-probabilities of `labels` at the `chosen` positions; [N, V] never exists."""
    found, start = [], 0
    for logits in logit_chunks(outputs, chosen):
        scores, here = logits / temperature, labels[start : start + len(logits), None]
        found.append(scores.gather(-1, here).squeeze(-1) - scores.logsumexp(-1))
        start += len(logits)
    return torch.cat(found)


@torch.no_grad()
def _log_nucleus(student: Outputs, teacher: Outputs, chosen: Tensor, settings: RolloutSettings) -> Tensor:
    """[N] log of the probability of all tokens that could be drawn at the `chosen` positions."""
    found = []
    warmth, share = settings.sampling_temperature, settings.guide_share
    for z, u in zip(logit_chunks(student, chosen), logit_chunks(teacher, chosen), strict=True):
        policy = (z / warmth).softmax(-1)
        if share:
            policy = (1 - share) * policy + share * (u / warmth).softmax(-1)
        found.append(nucleus_mass(policy, settings.top_p).log())
    return torch.cat(found)


def _mixed(student: Tensor, teacher: Tensor, share: float) -> Tensor:
    if share == 0:
        return student
    shares = torch.tensor([1 - share, share], device=student.device).log()
    return torch.logaddexp(student + shares[0], teacher + shares[1])


def _spread(values: Tensor, chosen: Tensor) -> Tensor:
    return torch.zeros_like(chosen, dtype=torch.float32).masked_scatter(chosen, values)
