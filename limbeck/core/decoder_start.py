"""What the decoder of an encoder-decoder model starts from: asked of the model's class, not of its name."""

from typing import Any

import torch
from transformers import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING

from limbeck.core.targets import target_marks

_LABELS = 3  # ids that are told apart from start and padding


def decoder_start(config: Any, tokenizer: Any) -> int | None:
    """First decoder token of a model: what its class puts before a target; None without a decoder apart.

    mBART and PLBart start from the last token of the target, its language. A configuration that names no
    start takes its begin token, as transformers' `generate` does, or else padding, as T5 does.
    """
    if not config.is_encoder_decoder:
        return None
    first = _shifted_in(config)
    if first is None:
        _, behind = target_marks(tokenizer)
        return behind[-1] if behind else int(tokenizer.eos_token_id)
    return first if first >= 0 else int(tokenizer.pad_token_id)


def _shifted_in(config: Any) -> int | None:
    """What the model's class puts before labels: an id, -1 for none known, None for their own last one."""
    named = ("decoder_start_token_id", "bos_token_id", "pad_token_id")
    *known, pad = (getattr(config, name, None) for name in named)
    start = next((one for one in known if one is not None), -1)
    kind = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING.get(type(config), None)
    if not hasattr(kind, "prepare_decoder_input_ids_from_labels"):
        return start
    model = kind.__new__(kind)  # the method reads the configuration alone: no weights are needed
    model.__dict__["config"] = config
    taken = {*known, pad}
    labels = [one for one in range(_LABELS + len(taken)) if one not in taken][:_LABELS]
    try:
        made = model.prepare_decoder_input_ids_from_labels(torch.tensor([labels]))[0].tolist()
    except (AttributeError, TypeError, ValueError, RuntimeError):  # no start token, no padding
        return start
    return None if made[0] == labels[-1] else int(made[0])
