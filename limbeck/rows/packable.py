"""Whether a model keeps the rows of a pack apart; asked of the model itself, not of its name."""

import torch
from torch import Tensor, nn

from limbeck.core.rope import keep_rows_alone

# Rows alone and rows in a pack differ by rounding, relative to the largest logit.
_ROUNDING = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 1e-2}
# A masked row has weight exactly 0, so another first row must not move the second at all; float32 leaves
# room for kernels that group tokens differently (mixtures of experts), lower precision would hide a leak.
_LEAK = {torch.float32: 1e-5}
_ROWS = (5, 3)  # tokens of the two rows of the probe


@torch.no_grad()
def reads_packs(model: nn.Module, vocabulary: int) -> bool:
    """Whether a causal model gives the rows of a pack the logits they have alone.

    Two short rows are run alone and end to end with positions that start again, as `PackedSource`
    hands them over, with `use_cache=False`; then another first row must not change the second. True for
    Llama, Qwen, Mistral, Gemma 3, Phi, GPT-NeoX, GPT-2 and GPT-Neo; False for OPT, Bloom, Falcon and Mamba
    (transformers 5.23), whose rows must be padded. In half precision, experts may be refused needlessly.

    Args:
        model: takes `input_ids`, `position_ids` and `use_cache`; left in the mode it was in.
        vocabulary: ids below this are used.
    """
    keep_rows_alone(model)
    parameter = next(model.parameters())
    first, second = (torch.arange(size, device=parameter.device) * 7 % vocabulary for size in _ROWS)
    other = (first + vocabulary // 2) % vocabulary
    was_training = model.training
    model.eval()
    try:
        packed, changed = _logits(model, first, second), _logits(model, other, second)
        alone = torch.cat([_logits(model, first), _logits(model, second)])
    finally:
        model.train(was_training)
    scale = alone.abs().max()
    moved = (packed - changed)[_ROWS[0] :].abs().max()
    apart = (packed - alone).abs().max()
    dtype = parameter.dtype
    return bool(moved <= _LEAK.get(dtype, 0.0) * scale and apart <= _ROUNDING.get(dtype, 1e-4) * scale)


def _logits(model: nn.Module, *rows: Tensor) -> Tensor:
    positions = torch.cat([torch.arange(len(row), device=row.device) for row in rows])
    logits: Tensor = model(
        input_ids=torch.cat(rows)[None], position_ids=positions[None], use_cache=False
    ).logits
    return logits[0].float()
