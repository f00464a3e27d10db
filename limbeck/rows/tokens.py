"""What limbeck asks of a tokenizer, and nothing else."""

import copy
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from limbeck.core.errors import ModelError
from limbeck.rows.marks import Marks, marks_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ids = NDArray[np.int32]

_COPIES = 4  # tokenizers whose copy is kept: those of two models, and of two more while they change


def encode(tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]) -> list[Ids]:
    """Ids of every text in one call, without the marks a tokenizer puts around whole inputs.

    Marks that are hidden in a text (`rows.marks`) are encoded as the letters they are made of.
    """
    if not texts:
        return []
    marks = marks_of(tokenizer)
    if any(marks.hidden.search(text) for text in texts):
        return [
            _ids_of_pieces(tokenizer, text, marks)[0] if marks.hidden.search(text) else ids
            for text, ids in zip(texts, encode(tokenizer, list(map(marks.show, texts))), strict=True)
        ]
    encoded = tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False,
        verbose=False,
    )  # fmt: skip
    return [np.asarray(ids, dtype=np.int32) for ids in encoded["input_ids"]]


def encode_with_offsets(
    tokenizer: "PreTrainedTokenizerBase", texts: Sequence[str]
) -> list[tuple[Ids, NDArray[np.int64]]]:
    """Ids of every text and, [n, 2], the characters each token stands for, spaces at its ends included.

    Marks that are hidden in a text are encoded as the letters they are made of.

    Raises:
        ModelError: the tokenizer is a slow one, which does not know its characters.
    """
    if not texts:
        return []
    if not tokenizer.is_fast:
        raise ModelError(
            f"the tokenizer must be a fast one to find turns of a chat, got {type(tokenizer).__name__}. "
            "Convert it with AutoTokenizer, or use rows with prompt and completion."
        )
    marks = marks_of(tokenizer)
    encodings = _untrimmed(tokenizer, len(tokenizer)).encode_batch(list(texts), add_special_tokens=False)
    return [
        _ids_of_pieces(tokenizer, text, marks) if marks.hidden.search(text) else _arrays(one)
        for text, one in zip(texts, encodings, strict=True)
    ]


def encode_whole(
    tokenizer: "PreTrainedTokenizerBase",
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    max_length: int,
) -> tuple[list[Ids], list[Ids], int]:
    """Ids of whole inputs with the tokenizer's own marks around (and between) them, cut at `max_length`.

    Returns:
        The ids; which text of a pair each token belongs to (empty where the tokenizer has no such
        ids); and how many inputs were cut.
    """
    if not texts:
        return [], [], 0
    encoded = tokenizer(list(texts), None if pairs is None else list(pairs), verbose=False)
    ids = list(encoded["input_ids"])
    types = list(encoded.get("token_type_ids", [[]] * len(ids)))
    long = [index for index, one in enumerate(ids) if len(one) > max_length]
    if long:
        cut = tokenizer(
            [texts[index] for index in long],
            None if pairs is None else [pairs[index] for index in long],
            truncation=True,
            max_length=max_length,
            verbose=False,
        )
        for place, index in enumerate(long):
            ids[index] = cut["input_ids"][place]
            types[index] = cut["token_type_ids"][place] if "token_type_ids" in cut else []
    return [np.asarray(one, np.int32) for one in ids], [np.asarray(one, np.int32) for one in types], len(long)


def opening_ids(tokenizer: "PreTrainedTokenizerBase") -> Ids:
    """What the tokenizer puts before every input: a begin token, or nothing."""
    probe = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    starts = [i for i in range(len(whole)) if whole[i : i + len(probe)] == probe]
    return np.asarray(whole[: starts[0]] if starts else [], dtype=np.int32)


def _ids_of_pieces(
    tokenizer: "PreTrainedTokenizerBase", text: str, marks: Marks
) -> tuple[Ids, NDArray[np.int64]]:
    """Ids and characters of a text with hidden marks: it is cut around them, as transformers does it with
    `sanitize_control_tokens`.

    Pieces behind the first are encoded after a line break, which is taken away again, because SentencePiece
    puts a space before the beginning of a text.
    """
    ids: list[Ids] = []
    characters: list[NDArray[np.int64]] = []
    at = 0
    for number, piece in enumerate(marks.hidden.split(text)):
        if number % 2:  # a mark
            own = np.asarray(_letters(tokenizer, marks.show(piece), marks), dtype=np.int32)
            places = np.tile(np.asarray([0, len(piece)], dtype=np.int64), (len(own), 1))
        else:
            own, places = _piece(tokenizer, piece, is_first=number == 0)
        ids.append(own)
        characters.append(places + at)
        at += len(piece)
    return np.concatenate(ids), np.concatenate(characters)


def _piece(
    tokenizer: "PreTrainedTokenizerBase", text: str, *, is_first: bool
) -> tuple[Ids, NDArray[np.int64]]:
    line = "" if is_first else "\n"
    own, places = _alone(tokenizer, line + text)
    before = _alone(tokenizer, line)[0]
    if not np.array_equal(own[: len(before)], before):
        return _alone(tokenizer, text)
    return own[len(before) :], places[len(before) :] - len(line)


def _alone(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[Ids, NDArray[np.int64]]:
    if tokenizer.is_fast:
        return _arrays(_untrimmed(tokenizer, len(tokenizer)).encode(text, add_special_tokens=False))
    ids = np.asarray(tokenizer.encode(text, add_special_tokens=False), dtype=np.int32)
    return ids, np.zeros((len(ids), 2), dtype=np.int64)


def _letters(tokenizer: "PreTrainedTokenizerBase", mark: str, marks: Marks) -> list[int]:
    """Ids of a mark that is meant as text."""
    any_mark = re.compile("|".join(map(re.escape, {mark, *marks.control})))
    try:
        from transformers.utils.chat_template_utils import encode_marked_chat, mark_control_tokens

        return list(encode_marked_chat(tokenizer, mark_control_tokens(mark, any_mark)))
    except ValueError:  # its vocabulary has the mark among the pieces of text
        return [id for part in (mark[0], mark[1:]) for id in tokenizer.encode(part, add_special_tokens=False)]


def _arrays(encoding: Any) -> tuple[Ids, NDArray[np.int64]]:
    offsets = np.asarray(encoding.offsets, dtype=np.int64).reshape(-1, 2)
    return np.asarray(encoding.ids, dtype=np.int32), offsets


@lru_cache(maxsize=_COPIES)
def _untrimmed(tokenizer: "PreTrainedTokenizerBase", size: int) -> Any:
    """The fast tokenizer without its last stage, which does nothing else to a text without marks around it
    than take the spaces of tokens out of their offsets (`trim_offsets` of GPT-2's and RoBERTa's older ones).

    `size` is part of the key, because tokens may be added to a tokenizer.
    """
    plain = copy.deepcopy(tokenizer.backend_tokenizer)
    plain.post_processor = None
    plain.no_truncation()
    plain.no_padding()
    plain.encode_special_tokens = tokenizer.split_special_tokens
    return plain


def end_id(tokenizer: "PreTrainedTokenizerBase") -> int:
    """The id of the end token, which every target teaches.

    Raises:
        ModelError: the tokenizer has none, so no model could learn to stop.
    """
    if tokenizer.eos_token_id is None:
        raise ModelError(
            "the tokenizer must have an end token (eos_token), got none; a model could not learn to stop. "
            "Set eos_token in tokenizer_config.json."
        )
    return int(tokenizer.eos_token_id)
