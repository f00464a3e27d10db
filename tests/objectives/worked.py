"""Two distributions worked through by hand, and seeded logits."""

import torch
from torch import Tensor

from limbeck.core.signals import TopK

P = torch.tensor([[0.7, 0.2, 0.1]])
"""The teacher."""

Q = torch.tensor([[0.2, 0.5, 0.3]])
"""The student."""

ATOL = 2e-6  # the worked numbers have six decimals


def logits(*shape: int, seed: int) -> Tensor:
    """Standard normal logits; equal for equal seeds."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def top(teacher_logits: Tensor, k: int) -> TopK:
    """The stored form of dense logits."""
    log_probs = teacher_logits.double().log_softmax(-1)
    kept = log_probs.topk(k)
    rest = log_probs.scatter(-1, kept.indices, -torch.inf).logsumexp(-1)
    return TopK(kept.indices, kept.values.float(), rest.float())


def value_and_gradient(objective, student_logits, *others, **hyperparameters):
    """The objective's values and the gradient of their sum in the student's logits."""
    s = student_logits.clone().requires_grad_()
    values = objective(s, *others, **hyperparameters)
    values.sum().backward()
    return values.detach(), s.grad


def check_worked(objective, value: float, gradient: list[float], **hyperparameters) -> None:
    """The objective at student Q, teacher P has this value and this gradient."""
    values, found = value_and_gradient(objective, Q.log(), P.log(), **hyperparameters)
    torch.testing.assert_close(values, torch.tensor([value]), atol=ATOL, rtol=0)
    torch.testing.assert_close(found, torch.tensor([gradient]), atol=ATOL, rtol=0)
