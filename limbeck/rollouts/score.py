"""Log-probabilities of sampled tokens under student and teacher, from their own forward passes."""

from collections.abc import Callable

import torch
from torch import Tensor

from limbeck.core.batch import Batch
from limbeck.core.outputs import Outputs
from limbeck.core.reader import project
from limbeck.core.rollouts import RolloutSettings
from limbeck.rollouts.returns import advantages

_CHUNK = 2**21  # logits held at a time, 8 MB

Ask = Callable[[Batch], Outputs]


def scores(
    batch: Batch, settings: RolloutSettings, *, student: Ask, teacher: Ask, scored: str = "student"
) -> dict[str, Tensor]:
    """What `policy_gradient` and importance weights need, [B, T] each, 0 outside sampled tokens.

    Returns:
        advantages: before whitening.
        sampled_log_probs: log-probability under the policy that wrote, at its sampling temperature.
        importance: student over that policy, for each token alone (MiniLLM's w).
    """
    assert batch.groups is not None
    chosen = batch.groups == batch.group_names.index(scored)
    labels = batch.targets[chosen] if batch.targets is not None else None
    assert labels is not None
    asked = student(batch), teacher(batch)
    q, p = (label_log_probs(one, chosen, labels) for one in asked)
    warmth = settings.sampling_temperature or 1.0
    by_student, by_teacher = q, p
    if warmth != 1:
        by_student, by_teacher = (label_log_probs(one, chosen, labels, warmth) for one in asked)
    written = _mixed(by_student, by_teacher, settings.guide_share)
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
    source = outputs.logits if outputs.hidden is None else outputs.hidden
    assert source is not None
    rows = source[chosen]
    width = rows.shape[-1] if outputs.head is None else outputs.head.weight.shape[0]
    size, found = max(1, _CHUNK // width), []
    with torch.autocast(rows.device.type, enabled=False):  # as in the objectives
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            logits = (part if outputs.head is None else project(part, outputs.head)).float() / temperature
            at_label = logits.gather(-1, labels[start : start + size, None]).squeeze(-1)
            found.append(at_label - logits.logsumexp(-1))
    return torch.cat(found) if found else labels.new_zeros(0, dtype=torch.float32)


def _mixed(student: Tensor, teacher: Tensor, share: float) -> Tensor:
    if share == 0:
        return student
    shares = torch.tensor([1 - share, share], device=student.device).log()
    return torch.logaddexp(student + shares[0], teacher + shares[1])


def _spread(values: Tensor, chosen: Tensor) -> Tensor:
    return torch.zeros_like(chosen, dtype=torch.float32).masked_scatter(chosen, values)
