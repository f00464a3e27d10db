"""Features of the texts of rows: themselves, and how long they are."""

import numpy as np
from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem
from limbeck.gates.reading import all_text, prompt_of, text_of
from limbeck.recipes.steps import Select
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.tokens import encode
from limbeck.runs.assembly.features.given import Given

_READ = {"all": all_text, "prompt": prompt_of, "answer": text_of}
_CHUNK = 2_000  # rows that are text and tokens at once


def texts_of(given: Given) -> list[str]:
    """[N] the texts that the step reads: of `all`, the prompt or the answer."""
    return texts_in(given.rows, given.step)


def texts_in(rows: Dataset, step: Select) -> list[str]:
    """[N] what rows say, without a chat template; classes are no text.

    Raises:
        ConfigError: no row has such a text.
    """
    if kind_of(rows.column_names) is Kind.TAGS:
        return [" ".join(tokens) for tokens in rows["tokens"]]
    read = _READ[step.text]
    found = [read(row) for row in rows]
    if not any(found):
        raise ConfigError(
            Problem("text", f"must be a text that the rows have, got {step.text}, which none has. Take all.")
        )
    return found


def lengths_of(given: Given) -> np.ndarray:
    """[N] tokens of the texts where the step has a tokenizer, else characters."""
    if given.step.tokenizer is None:
        return np.asarray([len(text) for text in texts_of(given)], dtype=np.int64)
    return given.kept("lengths", lambda: tokens_in(texts_of(given), given))


def tokens_in(texts: list[str], given: Given) -> np.ndarray:
    """[N] tokens of texts, without what marks their ends."""
    assert given.step.tokenizer is not None, "checked with the recipe"
    tokenizer = given.work.load_tokenizer(given.step.tokenizer)
    chunks = (texts[start : start + _CHUNK] for start in range(0, len(texts), _CHUNK))
    return np.asarray([len(ids) for chunk in chunks for ids in encode(tokenizer, chunk)], dtype=np.int64)
