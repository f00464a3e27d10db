"""The bytes that each token of a vocabulary stands for, however the vocabulary spells them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from transformers import PreTrainedTokenizerBase

from limbeck.core.errors import ModelError

_FALLBACK = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_METASPACE = "▁"


def token_bytes(tokenizer: PreTrainedTokenizerBase) -> list[bytes]:
    """The bytes of every token id, so that tokens of different vocabularies can be compared.

    `Ġthe` of a byte-level BPE, `▁the` of SentencePiece and `the` of WordPiece are all b" the": a word that
    follows a space. `##ing` is b"ing" and `<0xE2>` the single byte, which need be no UTF-8 alone. A text's
    tokens joined give the text back, up to a leading space and to what the tokenizer's normaliser changes.

    Args:
        tokenizer: byte-level BPE, SentencePiece (BPE or Unigram, with or without byte fallback), WordPiece,
            or a plain vocabulary whose tokens stand for their spelling.

    Returns:
        One entry for each id from 0 to the last; b"" for special tokens and for ids that no token has.

    Raises:
        ModelError: a tokenizer without the parts that say how it spells.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"tokenizer must be a fast one, which says how it spells bytes, got {type(tokenizer).__name__}. "
            "Save it with its tokenizer.json."
        )
    vocabulary = tokenizer.get_vocab()
    added = tokenizer.added_tokens_decoder
    special = {index for index, token in added.items() if token.special} | set(tokenizer.all_special_ids)
    spelt = _spelling(json.loads(tokenizer.backend_tokenizer.to_str()))
    found = [b""] * (1 + max(vocabulary.values(), default=-1))
    for token, index in vocabulary.items():
        if index not in special:
            found[index] = token.encode() if index in added else spelt(token)
    return found


def _spelling(parts: Mapping[str, Any]) -> Callable[[str], bytes]:
    """How the ordinary tokens of a tokenizer spell bytes, from its parts as they are saved."""
    steps = [*_flat(parts.get("decoder"), "decoders"), *_flat(parts.get("pre_tokenizer"), "pretokenizers")]
    kinds, model = {step["type"] for step in steps}, parts["model"]
    if "ByteLevel" in kinds:
        alphabet = _byte_letters()
        return lambda token: b"".join(alphabet.get(letter, letter.encode()) for letter in token)
    if "WordPiece" in kinds or model.get("type") == "WordPiece":
        prefix = model.get("continuing_subword_prefix") or "##"
        return lambda token: (token[len(prefix) :] if token.startswith(prefix) else f" {token}").encode()
    space = next((step["replacement"] for step in steps if step["type"] == "Metaspace"), None)
    if space is None and any(_METASPACE in str(step.get("pattern")) for step in steps):
        space = _METASPACE
    suffix = model.get("end_of_word_suffix")
    falls_back = bool(model.get("byte_fallback")) or "ByteFallback" in kinds

    def spelt(token: str) -> bytes:
        match = _FALLBACK.fullmatch(token) if falls_back else None
        if match:
            return bytes.fromhex(match[1])
        if suffix and token.endswith(suffix):
            token = token.removesuffix(suffix) + " "
        return (token if space is None else token.replace(space, " ")).encode()

    return spelt


def _flat(part: Mapping[str, Any] | None, inner: str) -> Iterator[Mapping[str, Any]]:
    if part is None:
        return
    if part["type"] != "Sequence":
        yield part
    for step in part.get(inner, ()):
        yield from _flat(step, inner)


def _byte_letters() -> dict[str, bytes]:
    """The letter that a byte-level vocabulary writes for each byte.

    Printable bytes of Latin-1 stand for themselves, the others for the letters from U+0100 on in
    order, as in GPT-2 (Radford et al. 2019).
    """
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(0x100) if byte not in printable]
    letters = {chr(byte): bytes([byte]) for byte in printable}
    return letters | {chr(0x100 + place): bytes([byte]) for place, byte in enumerate(others)}
