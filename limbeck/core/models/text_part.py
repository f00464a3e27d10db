"""The language part of a model of images (or sounds) and text: what recipes on text load of it."""

import copy
from collections.abc import Mapping

from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers.models.auto import modeling_auto

_WHOLE = ("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES", "MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES")
# Without pictures the three position axes of these are one, so their language part is another class's model.
_TWINS = {"qwen2_vl_text": "qwen2", "qwen2_5_vl_text": "qwen2", "qwen3_vl_text": "qwen3"}
_OF_TWINS = ("rope_parameters", "rope_scaling")
_PLAIN_ROPE = ("rope_theta", "rope_type", "partial_rotary_factor", "factor")

WHERE: Mapping[str, str] = {
    r"^language_model\.lm_head\.": "lm_head.",
    r"^language_model\.model\.": "model.",
    r"^model\.language_model\.": "model.",
    r"^model\.text_model\.": "model.",
}
"""Where the weights of the language part lie in the whole -> where they lie in a model of text."""


def text_part(config: PreTrainedConfig) -> PreTrainedConfig | None:
    """The configuration of the language part as a causal model; None where the model is not of that kind."""
    known = {name for mapping in _WHOLE for name in getattr(modeling_auto, mapping, {})}
    text = config.get_text_config(decoder=True)
    if config.model_type not in known or config.is_encoder_decoder or text is config:
        return None
    causal = modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if text.model_type in _TWINS:
        part = _twin(text)
    elif text.model_type in causal:
        part = copy.deepcopy(text)
    else:
        return None
    name = causal[part.model_type]
    part.architectures = [name if isinstance(name, str) else name[0]]
    part.dtype = text.dtype or config.dtype
    part.tie_word_embeddings = config.tie_word_embeddings  # the head is the whole's
    for end in ("bos_token_id", "eos_token_id", "pad_token_id"):
        if getattr(part, end, None) is None:
            setattr(part, end, getattr(config, end, None))
    return part


def text_part_note(config: PreTrainedConfig) -> str | None:
    """What the plan says of a model of which the language part alone is read; None of any other."""
    part = text_part(config)
    if part is None:
        return None
    whole = (config.architectures or [config.model_type])[0]
    return f"Of {whole} the language part is read alone, as {part.architectures[0]}."


def _twin(text: PreTrainedConfig) -> PreTrainedConfig:
    values = text.to_dict()
    values.pop("model_type", None)
    rope = {name: value for name, value in (text.rope_parameters or {}).items() if name in _PLAIN_ROPE}
    rope["rope_type"] = (
        "default" if rope.get("rope_type") in (None, "mrope", "default") else rope["rope_type"]
    )
    kind = CONFIG_MAPPING[_TWINS[text.model_type]]
    known = set(kind().to_dict())
    return kind.from_dict(
        {k: v for k, v in values.items() if k in known and k not in _OF_TWINS} | {"rope_parameters": rope}
    )
