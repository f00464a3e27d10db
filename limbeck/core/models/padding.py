"""A causal model with a class head reads its class at the last token that is no padding: by which id?"""

from typing import Any

import torch

from limbeck.core.errors import ModelError

_TOKENS, _FILL = 3, 2
_SAME = 1e-2  # relative to the largest score; the score of another position is off by its own size


def pad_with(model: Any, pad: int) -> None:
    """Let a classifier find the end of rows that are filled up with `pad`; its configuration then says so.

    Asked of the model itself: where a row has the same scores alone and filled up, nothing is changed.
    Encoders are of that kind, whatever their configuration pads with.

    Args:
        model: a classifier; left in the mode it was in.
        pad: the id of its tokenizer.

    Raises:
        ModelError: its scores depend on padding under any of these settings.
    """
    if _is_unmoved(model, pad):
        return
    model.config.pad_token_id = model.config.get_text_config().pad_token_id = pad
    if not _is_unmoved(model, pad):
        raise ModelError(
            f"a classifier must score a row alike with and without padding, got other scores from "
            f"{type(model).__name__} padded with {pad}. Set pad_token in its tokenizer_config.json to "
            "an id that its texts do not hold."
        )


@torch.no_grad()
def _is_unmoved(model: Any, pad: int) -> bool:
    parameter = next(model.parameters())
    known = [place for place in range(1, _TOKENS + 3) if place != pad][:_TOKENS]
    row = torch.tensor([known], device=parameter.device) % model.config.get_text_config().vocab_size
    filled = torch.cat([row, row.new_full((1, _FILL), pad)], dim=1)
    was_training = model.training
    model.eval()
    try:
        alone = model(input_ids=row, attention_mask=torch.ones_like(row)).logits.float()
        mask = torch.cat([torch.ones_like(row), row.new_zeros(1, _FILL)], dim=1)
        padded = model(input_ids=filled, attention_mask=mask).logits.float()
    except ValueError:  # transformers refuses a batch where no padding is named
        return False
    finally:
        model.train(was_training)
    return bool((alone - padded).abs().max() <= _SAME * alone.abs().max().clamp_min(1e-6))
