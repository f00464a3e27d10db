"""The generation settings that lie with a model: read with sense, and saved with a student.

What is written and how far is decided here, never by these settings; they are kept for those who load
the student, and say which tokens end a text, begin one, or must not be written.
"""

import copy
import json
import logging
from pathlib import Path
from typing import Any

from transformers import GenerationConfig
from transformers.utils import cached_file

from limbeck.core.decoder_start import decoder_start
from limbeck.core.model_words import model_word
from limbeck.core.stops import stop_ids
from limbeck.core.targets import target_language

_FILE = "generation_config.json"
# What others depend on comes first: a temperature is allowed or not by `do_sample`.
_FIRST = ("do_sample", "num_beams", "use_cache", "return_dict_in_generate", "cache_implementation")

log = logging.getLogger("limbeck")


def read_generation_config(path_or_id: str | Path) -> GenerationConfig | None:
    """What a model's generation_config.json says, without what transformers refuses; None without the file.

    The model is a folder, a hub id, or a word with options (`core.model_words`).
    `max_new_tokens: 0`, as some folders have it, would keep the model from being loaded at all.
    """
    word = model_word(path_or_id)
    folder = Path(word.place).expanduser()
    file = cached_file(
        str(folder) if folder.is_dir() else word.place,
        _FILE,
        revision=word.revision or None,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
        _raise_exceptions_for_gated_repo=False,
    )
    if file is None:
        return None
    fields = json.loads(Path(file).read_text(encoding="utf-8"))
    try:
        return GenerationConfig(**fields)
    except (ValueError, TypeError):
        return _consistent(fields, strict=False, whose=word.said)


def exported_generation_config(model: Any, tokenizer: Any | None) -> GenerationConfig:
    """Settings for a student's folder: it begins and stops as in limbeck's own generation, and can be saved.

    Ends are those of the tokenizer and its chat template beside the ones it had; padding is the
    tokenizer's, and so are, of a seq2seq model, first tokens where it has none. What has no effect
    beside the others, such as a temperature of greedy decoding, transformers refuses to save, and it goes.
    """
    made = copy.deepcopy(model.generation_config)
    if tokenizer is not None:
        ends = stop_ids(tokenizer, made)
        made.eos_token_id = list(ends) if len(ends) > 1 else next(iter(ends), None)
        if tokenizer.pad_token_id is not None:
            made.pad_token_id = int(tokenizer.pad_token_id)
        if model.config.is_encoder_decoder:
            if made.decoder_start_token_id is None:
                made.decoder_start_token_id = decoder_start(model.config, tokenizer)
            if made.forced_bos_token_id is None:
                made.forced_bos_token_id = target_language(tokenizer)
    try:
        made.validate(strict=True)
    except ValueError:
        made = _consistent(made.to_diff_dict(), strict=True, whose="the student")
    return made


def _consistent(fields: dict[str, Any], *, strict: bool, whose: str) -> GenerationConfig:
    """The fields that go with those before them; the others are logged and left out."""
    kept: dict[str, Any] = {}
    order = sorted(fields, key=lambda name: _FIRST.index(name) if name in _FIRST else len(_FIRST))
    for name in order:
        try:
            GenerationConfig(**kept, **{name: fields[name]}).validate(strict=strict)
        except (ValueError, TypeError):
            log.info("%s of %s: %s=%s has no effect and is left out", _FILE, whose, name, fields[name])
            continue
        kept[name] = fields[name]
    return GenerationConfig(**kept)
