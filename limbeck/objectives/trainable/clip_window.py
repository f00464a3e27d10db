"""A small network that sees both distributions at a position and says which window of them to learn."""

import math

import torch
from torch import Tensor, nn

from limbeck.core.checks import check_inside_fraction
from limbeck.core.errors import ObjectiveError
from limbeck.core.signals import TopK
from limbeck.objectives.outcomes import entropy, outcomes

_OPEN = 4.0  # sigmoid(4) = 0.98: training begins with nearly the whole distribution


def clip_window(*, top: int = 8, width: int = 32, floor: float = 0.5) -> "ClipWindow":
    """`low` and `high` of `clipped_kl` at every position, from both distributions there.

    It reads the teacher's `top` largest probabilities, the student's probabilities of the same
    outcomes, both normalised entropies and the total variation; two linear layers make a width and a
    place of the window from them. The window is nearly open at first. Its width is at least `floor`: the
    divergence over a window is smallest when the window holds one outcome, and nothing is learnt there.

    Args:
        top: how many of the teacher's likeliest outcomes are read, at least 1.
        width: of the hidden layer, at least 1.
        floor: least width of the window, a share of mass in (0, 1).

    Raises:
        ObjectiveError: a size is below 1, or floor is outside its range.

    Source:
        Liu et al. 2024 (MGSR), arXiv:2407.10068, f_sub: a perceptron on both distributions that gives
        an upper and a lower bound, trained by the same loss. Its inputs, sizes and what keeps the window
        open are not said there; these are ours.
    """
    check_inside_fraction(floor=floor)
    for name, size in (("top", top), ("width", width)):
        if size < 1:
            raise ObjectiveError(f"{name} must be at least 1, got {size}.")
    return ClipWindow(top, width, floor)


class ClipWindow(nn.Module):
    """See `clip_window`."""

    def __init__(self, top: int, width: int, floor: float) -> None:
        super().__init__()
        self.top, self.floor = top, floor
        self.layers = nn.Sequential(nn.Linear(2 * top + 3, width), nn.GELU(), nn.Linear(width, 2))
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([_OPEN, 0.0]))

    def forward(self, student_logits: Tensor, teacher_logits: Tensor | TopK) -> dict[str, Tensor]:
        """The bounds at every position.

        Args:
            student_logits: [..., V]; a constant here.
            teacher_logits: [..., V], or a TopK.

        Returns:
            low and high, [...] each, with high - low at least `floor`.
        """
        with torch.no_grad():
            features = self._features(*outcomes(student_logits, teacher_logits, temperature=1, tail="bucket"))
        open_width, place = self.layers(features).sigmoid().unbind(-1)
        width = self.floor + (1 - self.floor) * open_width
        low = (1 - width) * place
        return {"low": low, "high": (low + width).clamp(max=1)}

    def _features(self, log_q: Tensor, log_p: Tensor) -> Tensor:
        """[..., 2 top + 3], all in [0, 1]."""
        p, q = log_p.exp(), log_q.exp()
        likeliest = p.topk(min(self.top, p.shape[-1]), -1)
        tops = torch.stack([likeliest.values, q.gather(-1, likeliest.indices)], -2)
        tops = nn.functional.pad(tops, (0, self.top - tops.shape[-1])).flatten(-2)
        most = math.log(p.shape[-1]) or 1.0
        entropies = [entropy(log_p) / most, entropy(log_q) / most]
        distance = (p - q).abs().sum(-1) / 2
        return torch.cat([tops, torch.stack([*entropies, distance], -1)], -1)
