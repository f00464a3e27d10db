"""Which classes of transformers write text, asked of its own tables."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_DECODERS, _SEQ2SEQ = "CAUSAL_LM", "SEQ_TO_SEQ_CAUSAL_LM"


def is_writer(architecture: str) -> bool:
    """Whether a class is a decoder with a head over the vocabulary."""
    return architecture.endswith(("ForCausalLM", "LMHeadModel")) or architecture in _classes(_DECODERS)


def is_seq2seq(architecture: str, config: "PreTrainedConfig") -> bool:
    """Whether a class, with this configuration, is an encoder with a decoder that writes."""
    writes = architecture.endswith(("ForConditionalGeneration", "ForSeq2SeqLM"))
    return bool(config.is_encoder_decoder) and (writes or architecture in _classes(_SEQ2SEQ))


def writers_of(model_type: str) -> list[str]:
    """The class of a type of model that writes text; empty where none does."""
    for task in (_DECODERS, _SEQ2SEQ):
        name = _named(task).get(model_type)
        if name is not None:
            return [name if isinstance(name, str) else name[0]]
    return []


def _classes(task: str) -> set[str]:
    return {name for one in _named(task).values() for name in ([one] if isinstance(one, str) else one)}


def _named(task: str) -> dict[str, str | tuple[str, ...]]:
    from transformers.models.auto import modeling_auto  # slow; the names of kinds are read without it

    return dict(getattr(modeling_auto, f"MODEL_FOR_{task}_MAPPING_NAMES"))
