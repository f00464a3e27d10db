"""How long a row a model can read, from its configuration."""

from typing import Any

# Their positions are counted from behind the padding id: the first pad + 1 of the table are no places.
_BEHIND_PADDING = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "xmod", "roberta-prelayernorm", "longformer"}
    | {"data2vec-text", "ibert", "luke", "lilt", "markuplm", "mpnet", "layoutlmv3"}
)


def positions_of(config: Any) -> int | None:
    """Longest row a model was made for; None where its configuration does not say, or there is no end.

    Relative positions (T5) and slopes (ALiBi) have no table; dynamic NTK stretches its rotary positions by
    `factor`.
    """
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    if _has_slopes(text):
        return None
    table = getattr(text, "max_position_embeddings", None)
    if not isinstance(table, int) or table < 1:
        return None
    if text.model_type in _BEHIND_PADDING:
        return table - (text.pad_token_id or 0) - 1
    rope = getattr(text, "rope_parameters", None)
    if isinstance(rope, dict) and rope.get("rope_type") == "dynamic":
        return int(table * (rope.get("factor") or 1))
    return table


def _has_slopes(text: Any) -> bool:
    inner = getattr(text, "attn_config", None)
    inner_alibi = inner.get("alibi") if isinstance(inner, dict) else getattr(inner, "alibi", None)
    return bool(getattr(text, "alibi", False) or inner_alibi)
