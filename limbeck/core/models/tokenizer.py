"""Tokenizers: of the folder or not at all, and able to pad with an id that the model can read."""

import json
import logging
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from limbeck.core.errors import ModelError, UserError
from limbeck.core.model_words import ModelWord, model_word
from limbeck.core.models.places import asked, check_place, quiet_transformers, source_of, unreadable

_FAST, _SETTINGS = "tokenizer.json", "tokenizer_config.json"
# Vocabularies of slow tokenizers; a class may name others.
_VOCABULARIES = (
    *("vocab.json", "vocab.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
    *("source.spm", "bpe.codes", "tekken.json", "tiktoken.model", "vocab.model"),
)

log = logging.getLogger("limbeck")


def load_tokenizer(path_or_id: str | Path) -> PreTrainedTokenizerBase:
    """A tokenizer that can pad: where it has no pad token that the model can read, the end token pads.

    Args:
        path_or_id: folder, hub id, or a word with options (`core.model_words`).

    Raises:
        ModelError: no tokenizer there, or one with neither a pad nor an end token.
    """
    word = model_word(path_or_id)
    check_place(word, needs_config=False)
    folder = Path(source_of(word))
    if folder.is_dir() and not word.gguf_file:
        _check_files(folder, (_FAST, _SETTINGS, *_VOCABULARIES))
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(source_of(word), **asked(word))
    except UserError:
        raise
    except Exception as error:  # whatever a library says of a file that a user gave
        if folder.is_dir() and not word.gguf_file:
            _check_files(folder, (_FAST, *_VOCABULARIES))
        raise ModelError(unreadable(word, error, " as a tokenizer", _FAST)) from error
    if folder.is_dir() and not word.gguf_file:
        # transformers makes an empty one from the settings alone.
        named = tuple(getattr(type(tokenizer), "vocab_files_names", {}).values())
        if named:
            _check_files(folder, (_FAST, *_VOCABULARIES, *named))
    _let_pad(tokenizer, word, _columns(folder))
    return tokenizer


def _check_files(folder: Path, names: tuple[str, ...]) -> None:
    if not any((folder / name).is_file() for name in names):
        has = f" beside {_SETTINGS}" if (folder / _SETTINGS).is_file() else ""
        raise ModelError(
            f"model must come with its tokenizer, got no {_FAST} in {folder}{has}. Copy the tokenizer's "
            "files there (tokenizer.save_pretrained), or name a folder that has them."
        )


def _let_pad(tokenizer: Any, word: ModelWord, columns: int | None) -> None:
    pad = tokenizer.pad_token_id
    if pad is not None and (columns is None or pad < columns):
        return
    if tokenizer.eos_token_id is None:
        got = (
            "neither"
            if pad is None
            else f"a pad token {pad} beyond the {columns} ids of the model, and no end"
        )
        raise ModelError(
            f"tokenizer must have a pad token or an end token, got {got} in {word.place}. "
            "Set pad_token in its tokenizer_config.json."
        )
    tokenizer.pad_token = tokenizer.eos_token
    log.debug("%s has no pad token that the model can read: %r pads", word.place, tokenizer.eos_token)


def _columns(folder: Path) -> int | None:
    """Rows of the embedding of the model in the same folder, if there is one that says so."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    text = config.get("text_config") if isinstance(config, dict) else None
    found = (text if isinstance(text, dict) else config).get("vocab_size")
    return found if isinstance(found, int) else None
