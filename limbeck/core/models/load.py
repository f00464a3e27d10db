"""Pretrained models, with every weight found or reported; and the same check without reading the weights."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

from limbeck.core.class_names import are_unnamed, folded, listed, name_classes, own_class_names, same_classes
from limbeck.core.errors import ModelError, UserError
from limbeck.core.generation_config import read_generation_config
from limbeck.core.kinds import KindName, kind_named, kinds_that
from limbeck.core.model_words import DtypeName, ModelWord, model_word
from limbeck.core.models.config import auto_class_of, dtype_of, raw_config, saved_dtype
from limbeck.core.models.padding import pad_with
from limbeck.core.models.places import asked, quiet_transformers, source_of, unreadable
from limbeck.core.models.text_part import WHERE, text_part
from limbeck.core.models.tokenizer import load_tokenizer
from limbeck.core.models.weights import check_files

_NAMED = 3  # tensors named in a message

log = logging.getLogger("limbeck")


def load_model(
    path_or_id: str | Path,
    kind: KindName,
    *,
    dtype: DtypeName = "float32",
    num_labels: int | None = None,
    label_names: Sequence[str] | None = None,
    attn_implementation: str | None = None,
    pad: int | None = None,
) -> PreTrainedModel:
    """A pretrained model, in eval mode, with every weight either found or reported.

    A classifier's head that the folder lacks is initialised afresh and logged to `limbeck`
    (seed before, to repeat it); so is an encoder's pooler. Anything else that lacks is an error.

    Args:
        path_or_id: folder with a config.json, an id on the hub, or a word with options (`core.model_words`).
        kind: what the model is used as.
        dtype: of the weights where the word does not say; `auto` takes the dtype they were saved in.
        num_labels: classes of a classifier; None takes the folder's.
        label_names: names of the classes, in order; sets `num_labels`. A tuned head keeps its
            own names and their order: those of its scores; they must be these, case aside.
        attn_implementation: as in transformers; None takes its default.
        pad: the id that fills up the rows of a classifier; None: that of the tokenizer beside it, if any.

    Raises:
        ModelError: no such model, not of this kind, or its head has other classes.
    """
    word = model_word(path_or_id)
    config, renamed = _config_of(word, kind)
    if kind_named(kind).has_classes:
        _set_labels(config, num_labels, label_names, word.said)
    elif num_labels is not None or label_names is not None:
        allowed = kinds_that("has_classes")
        raise ModelError(f"kind must be {allowed} to have labels, got {kind}. Leave the labels out.")
    options: dict[str, Any] = {"dtype": dtype_of(word, saved_dtype(config), dtype), **renamed}
    if attn_implementation is not None:
        options["attn_implementation"] = attn_implementation
    model, report = _from_pretrained(word, kind, config, options)
    for name in _check_complete(model, report, kind, word):
        log.info("%s: initialised afresh, to be trained: %s", word.said, name)
    if word.gguf_file:
        _forget_gguf(model)
    if renamed:
        # transformers would save the weights under the names they had in the whole.
        model._weight_conversions = None
    if kind_named(kind).has_classes:
        pad = _own_pad(word) if pad is None else pad
        if pad is not None:
            pad_with(model, pad)
    return model


def check_weights(path_or_id: str | Path, kind: KindName, *, num_labels: int | None = None) -> None:
    """Raise whatever `load_model` would raise of the files of a folder; only their headers are read.

    Args:
        path_or_id: as in `load_model`; the weights of an id on the hub are not looked at.
        kind: what the model is used as.
        num_labels: classes of a classifier; None takes the folder's.

    Raises:
        ModelError: files that are missing, broken, unsafe, or do not fit the configuration.
    """
    word = model_word(path_or_id)
    if word.gguf_file or not Path(source_of(word)).is_dir():
        return
    check_files(Path(source_of(word)))
    config, renamed = _config_of(word, kind)
    if kind_named(kind).has_classes:
        _set_labels(config, num_labels, None, word.said)
    model, report = _from_pretrained(word, kind, config, {"device_map": "meta", **renamed})
    _check_complete(model, report, kind, word)


def _own_pad(word: ModelWord) -> int | None:
    try:
        return int(load_tokenizer(word.joined).pad_token_id)
    except ModelError:
        return None  # said where its texts are read


def _config_of(word: ModelWord, kind: KindName) -> tuple[PreTrainedConfig, dict[str, Any]]:
    """The configuration a model is loaded by, and what else `from_pretrained` is told of a language part."""
    kind_named(kind)  # refused first, where it is none
    config = raw_config(word.joined)
    part = text_part(config)
    return (config, {}) if part is None else (part, {"key_mapping": dict(WHERE)})


def _from_pretrained(
    word: ModelWord, kind: KindName, config: PreTrainedConfig, options: dict[str, Any]
) -> tuple[PreTrainedModel, Any]:
    try:
        with quiet_transformers():
            return auto_class_of(kind_named(kind)).from_pretrained(
                source_of(word),
                config=config,
                generation_config=read_generation_config(word.joined),
                ignore_mismatched_sizes=True,  # reported below, with names and sizes
                output_loading_info=True,
                **asked(word),
                **options,
            )
    except (UserError, MemoryError):
        raise
    except Exception as error:  # whatever a library says of files that a user gave
        raise ModelError(unreadable(word, error, f" as a {kind} model")) from error


def _forget_gguf(model: Any) -> None:
    # The weights are plain by now, but transformers refuses to save what was read from GGUF.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.quantization_method = model.hf_quantizer = None
    model.is_quantized = False


def _set_labels(
    config: PreTrainedConfig, num_labels: int | None, names: Sequence[str] | None, place: str
) -> None:
    if names is not None:
        if num_labels not in (None, len(names)):
            raise ModelError(
                f"num_labels must equal the number of label_names, {len(names)}, got {num_labels}."
            )
        own = own_class_names(config)
        if own and not (same_classes(own, names) or set(map(folded, own)) == set(map(folded, names))):
            raise ModelError(
                f"classes must be {listed(own)} for {place}, whose head was tuned on them, got "
                f"{listed(names)}. Start from a model without a class head."
            )
        if not own or are_unnamed(own):
            name_classes(config, names)
    elif num_labels is not None and num_labels != config.num_labels:
        config.num_labels = num_labels
    text = config.get_text_config()
    if text.pad_token_id is None and getattr(text, "eos_token_id", None) is not None:
        # A causal model reads its class at the last token that is no padding; `load_tokenizer` pads with eos.
        end = text.eos_token_id
        text.pad_token_id = end[0] if isinstance(end, list) else end


def _check_complete(model: Any, report: Any, kind: KindName, word: ModelWord) -> list[str]:
    """Names of weights that are initialised afresh; anything else that lacks or does not fit is refused."""
    if report["mismatched_keys"]:
        name, found, wanted = min(report["mismatched_keys"])
        others = len(report["mismatched_keys"]) - 1
        raise ModelError(
            f"weights of {word.said} must fit its configuration, got {name} of shape {tuple(found)} where "
            f"{tuple(wanted)} is needed{f', and {others} more' if others else ''}. For a classifier, leave "
            "num_labels and label_names to the folder, or start from a model without a head."
        )
    missing = sorted(report["missing_keys"])
    prefix = f"{model.base_model_prefix}."
    has_head = model.base_model is not model
    is_head = has_head and kind_named(kind).fresh_head
    head = [key for key in missing if is_head and not key.startswith(prefix)]
    fresh = [*head, *(key for key in missing if "pooler." in key and key not in head)]
    lacking = [key for key in missing if key not in fresh]
    if lacking:
        listed = ", ".join(lacking[:_NAMED]) + (
            f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
        )
        raise ModelError(
            f"model must hold all weights of {type(model).__name__}, got {word.said} without {listed}. "
            f"Choose the kind it was saved as instead of '{kind}', or another folder."
        )
    return [", ".join(fresh)] if fresh else []
