"""Learning from one's own sequences lowers the divergence on one's own sequences."""

from itertools import product

import torch

from limbeck.objectives import forward_kl, reverse_kl

# A world in which it matters: the student sees two tokens back only by their sum, the teacher both,
# so that it cannot fit the teacher everywhere and must choose where.
V, T = 3, 4
SEQUENCES = torch.tensor(list(product(range(V), repeat=T)))
FULL = {
    prefix: place for place, prefix in enumerate(p for n in range(T) for p in product(range(V), repeat=n))
}
STATES = torch.tensor([[FULL[tuple(line[:t].tolist())] for t in range(T)] for line in SEQUENCES])
COARSE = torch.tensor([[sum(line[:t].tolist()) + 10 * (t > 2) for t in range(T)] for line in SEQUENCES])


def masses(logits: torch.Tensor) -> torch.Tensor:
    """[81] probability of every sequence under [81, 4, 3] logits."""
    return logits.log_softmax(-1).gather(-1, SEQUENCES[..., None]).sum((1, 2)).exp()


def trained(seed: int, share: float) -> float:
    """KL(student || teacher) on the student's own prefixes after 60 steps with this share of rollouts."""
    random = torch.Generator().manual_seed(seed)
    teacher = 2 * torch.randn(len(FULL), V, generator=random)[STATES]
    # Half of the data is not the teacher's: prefixes that the student will hardly write itself.
    data = torch.softmax(3 * torch.randn(len(SEQUENCES), generator=random), 0)
    table = torch.zeros(20, V, requires_grad=True)
    optimizer = torch.optim.Adam([table], lr=0.1)
    for _ in range(60):
        student = table[COARSE]
        own = masses(student).detach()
        weight = share * own + (1 - share) * data
        drawn = torch.multinomial(weight, 64, replacement=True, generator=random)
        loss = forward_kl(student[drawn], teacher[drawn]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        student = table[COARSE]
        return float((masses(student)[:, None] * reverse_kl(student, teacher)).sum())


def test_on_policy_students_are_closer_to_their_teacher_where_they_go():
    gains = [trained(seed, 0.0) - trained(seed, 1.0) for seed in range(5)]
    assert sum(gains) / len(gains) > 0.05
    assert sum(gain > 0 for gain in gains) >= 4
