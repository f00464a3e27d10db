"""The step that Adam would take for one gradient."""

from typing import Literal

import torch
from torch import Tensor

from limbeck.core.errors import ConfigError

Form = Literal["official", "textbook"]


def adam_direction(
    gradient: Tensor,
    first: Tensor,
    second: Tensor,
    *,
    form: Form = "official",
    steps: int = 0,
    betas: tuple[float, float] = (0.9, 0.999),
    epsilon: float = 1e-8,
) -> Tensor:
    """Adam's update for a gradient that comes next, without the learning rate and the sign.

    m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2; "official" is m / sqrt(v + epsilon), "textbook"
    m' / (sqrt(v') + epsilon) with both corrected for their start. With epsilon inside of the root,
    coordinates whose gradients are below 1e-4 are damped: from m = v = 0, g = 1e-6 gives 1e-3, textbook 0.99.

    Args:
        gradient: g, [...].
        first: m, [...], the mean of the gradients before.
        second: v, [...], of their squares.
        form: as LESS's code has it, or as Adam is.
        steps: that m and v were updated in; read by "textbook".
        betas: decay of m and v.
        epsilon: see above.

    Returns:
        [...], without unit.

    Raises:
        ConfigError: `form` is none of the two.

    Source:
        princeton-nlp/LESS, `less/data_selection/collect_grad_reps.py:obtain_gradients_with_adam`; Xia et al.
        2024, arXiv:2402.04333, print the textbook form.
    """
    m = betas[0] * first + (1 - betas[0]) * gradient
    v = betas[1] * second + (1 - betas[1]) * gradient.square()
    if form == "official":
        return m / (v + epsilon).sqrt()
    if form == "textbook":
        m, v = m / (1 - betas[0] ** (steps + 1)), v / (1 - betas[1] ** (steps + 1))
        return m / (v.sqrt() + epsilon)
    raise ConfigError(f"form must be 'official' or 'textbook', got '{form}'.")


def rademacher(gradients: Tensor, dimension: int, *, seed: int) -> Tensor:
    """Random projection that keeps inner products: [B, P] times a [P, D] matrix of +1 and -1, over sqrt(D).

    The matrix is drawn a stretch of P at a time and never held. An inner product of unit vectors is off by
    about 1 / sqrt(D).

    Args:
        gradients: [B, P].
        dimension: D.
        seed: same seed, same matrix.

    Returns:
        [B, D] float32.

    Source:
        Johnson & Lindenstrauss 1984; Achlioptas 2003 for signs.
    """
    found = torch.zeros(len(gradients), dimension)
    draws = torch.Generator().manual_seed(seed)
    height = max(1, _SIGNS // dimension)
    for start in range(0, gradients.shape[1], height):
        part = gradients[:, start : start + height].float().cpu()
        signs = torch.randint(0, 2, (part.shape[1], dimension), generator=draws, dtype=torch.int8)
        found += part @ signs.float().mul_(2).sub_(1)
    return found / dimension**0.5


_SIGNS = 2**24  # signs that are held at once: 64 MB as float32
