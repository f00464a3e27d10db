"""Which weights of a Llama-like model belong to which unit: hidden units, groups of heads, neurons."""

import re
from dataclasses import dataclass
from typing import Literal

from transformers import PreTrainedConfig

from limbeck.core.errors import ModelError

Axis = Literal["hidden", "query", "key_value", "neurons"]

ARCHITECTURES = ("llama", "mistral", "qwen2", "qwen3")
"""`model_type`s whose width can be cut: separate q, k, v, gated feed-forward, RMSNorm, nothing else.

Others may look alike and hide a constant of the width: Gemma multiplies its embeddings by sqrt(hidden_size).
"""

_EVEN = ("llama",)  # whose configuration is refused unless heads divide hidden_size, head_dim or not
_LAYER = re.compile(r"\blayers\.(\d+)\.")
_AXES: dict[str, tuple[Axis | None, ...]] = {
    "embed_tokens.weight": (None, "hidden"),
    "lm_head.weight": (None, "hidden"),
    "q_proj.weight": ("query", "hidden"),
    "q_proj.bias": ("query",),
    "k_proj.weight": ("key_value", "hidden"),
    "k_proj.bias": ("key_value",),
    "v_proj.weight": ("key_value", "hidden"),
    "v_proj.bias": ("key_value",),
    "o_proj.weight": ("hidden", "query"),
    "o_proj.bias": ("hidden",),
    "q_norm.weight": (None,),  # over the channels of one head, which stay
    "k_norm.weight": (None,),
    "gate_proj.weight": ("neurons", "hidden"),
    "gate_proj.bias": ("neurons",),
    "up_proj.weight": ("neurons", "hidden"),
    "up_proj.bias": ("neurons",),
    "down_proj.weight": ("hidden", "neurons"),
    "down_proj.bias": ("hidden",),
    "input_layernorm.weight": ("hidden",),
    "post_attention_layernorm.weight": ("hidden",),
    "norm.weight": ("hidden",),
}


@dataclass(frozen=True)
class Units:
    """How many units of each kind a model has.

    Attributes:
        layers: L.
        hidden: H, shared by all layers.
        groups: G of each layer: a key-value head with the query heads that read it.
        group_heads: query heads of a group; 1 without grouped-query attention.
        head_dim: channels of a head.
        neurons: F of each layer's feed-forward.
    """

    layers: int
    hidden: int
    groups: int
    group_heads: int
    head_dim: int
    neurons: int

    def block(self, axis: Axis) -> int:
        """Rows or columns of a weight that one unit of this axis takes."""
        return {"query": self.group_heads * self.head_dim, "key_value": self.head_dim}.get(axis, 1)


def has_prunable_width(config: PreTrainedConfig) -> bool:
    """Whether the width of such a model can be cut."""
    return config.model_type in ARCHITECTURES


def units_of(config: PreTrainedConfig) -> Units:
    """The units of the model that `config` describes.

    Raises:
        ModelError: its width cannot be cut.
    """
    if not has_prunable_width(config):
        *most, last = ARCHITECTURES
        raise ModelError(
            f"a model must be {', '.join(most)} or {last} to lose width, got {config.model_type}; others tie "
            "constants to their width or fuse weights. Prune its layers alone, with "
            "sizes: {num_hidden_layers: ...}."
        )
    heads = int(config.num_attention_heads)
    groups = int(getattr(config, "num_key_value_heads", None) or heads)
    return Units(
        layers=int(config.num_hidden_layers),
        hidden=int(config.hidden_size),
        groups=groups,
        group_heads=heads // groups,
        head_dim=int(getattr(config, "head_dim", None) or config.hidden_size // heads),
        neurons=int(config.intermediate_size),
    )


def width_problem(config: PreTrainedConfig, hidden: int, heads: int) -> str | None:
    """Why a model of this architecture cannot have so many hidden units with so many query heads, if so.

    The arithmetic asks for nothing, as head_dim is said; but transformers saves no Llama whose hidden_size is
    not a multiple of its heads.
    """
    if config.model_type not in _EVEN or hidden % heads == 0:
        return None
    below = hidden // heads * heads
    near = f"{below} or {below + heads}" if below else f"{heads}"
    kind = config.model_type
    return f"must be a multiple of the {heads} query heads in a {kind} model, got {hidden}. Take {near}."


def axes_of(name: str) -> tuple[Axis | None, ...]:
    """What each dimension of a weight counts; None for what is never cut.

    Raises:
        ModelError: no weight of the supported architectures has this name.
    """
    axes = _AXES.get(".".join(name.split(".")[-2:]))
    if axes is None:
        raise ModelError(
            f"weights must be those of a plain {', '.join(ARCHITECTURES)} model to lose width, got {name}. "
            "Load the model as it was published, without adapters or quantisation."
        )
    return axes


def layer_of(name: str) -> int | None:
    """The layer that a weight belongs to; None outside the layers."""
    found = _LAYER.search(name)
    return int(found[1]) if found else None
