"""Stores of a run: what a capture is of, and whether a store answers the rows of a training."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem, StoreError
from limbeck.core.fingerprint import fingerprint, tokenizer_fingerprint
from limbeck.core.models import load_tokenizer
from limbeck.recipes.steps import Capture, Step
from limbeck.rows.ragged import Ragged
from limbeck.rows.rendering import Rendering
from limbeck.signals.layout import TOKENIZER
from limbeck.signals.lists import id_bits
from limbeck.signals.manifest import Identity, Manifest
from limbeck.signals.payload import Payload
from limbeck.signals.reader import Signals
from limbeck.signals.rows import checksum
from limbeck.teachers import shared_vocabulary

_BITS_AN_ID, _BYTES_A_POSITION = 12, 3  # at most, on the teachers of benchmarks/store.py
_HEADS = {"float32": 4, "bfloat16": 2, "int8": 1}
_LEARNT_COLUMNS = ("is_target", "target_ids")

Checksums = Sequence[tuple[str, int]]


def row_checksums(rendered: Dataset) -> list[tuple[str, int]]:
    """Id and checksum of the tokens of each rendered row, as the store knows them."""
    columns = [Ragged.of_column(rendered, "input_ids")]
    if "target_ids" in rendered.column_names:
        columns.append(Ragged.of_column(rendered, "target_ids"))
    names = rendered["row_id"]
    return [(name, checksum(*(column[row] for column in columns))) for row, name in enumerate(names)]


def identity_of(
    step: Capture,
    *,
    version: int,
    weights: str,
    tokenizer: Any,
    rendering: Rendering,
    rows: Checksums,
    vocabulary: int,
) -> Identity:
    """What the store of a capture is of."""
    choices = {name: value for name, value in asdict(rendering).items() if value not in ((), "")}
    return Identity(
        version=version,
        teacher=step.teacher.word or step.teacher.called,
        weights=weights,
        tokenizer=tokenizer_fingerprint(tokenizer),
        template=fingerprint(str(tokenizer.chat_template)),
        data=hashlib.sha256(repr(list(rows)).encode()).hexdigest()[:16],
        rendering=json.loads(json.dumps(choices)),
        payload=step.payload.for_store(),
        vocabulary=vocabulary,
        shard_tokens=step.shard_tokens,
    )


def check_rows(signals: Signals, rows: Checksums, tokenizer: Any, rendering: Rendering) -> None:
    """Refuse a training on rows that the store does not hold, and say what differs.

    Raises:
        StoreError: rows are missing, or have other tokens.
    """
    there = signals.manifest.identity
    choices = {name: getattr(rendering, name, None) for name in there.rendering}
    choices = json.loads(json.dumps(choices))
    here = Identity(
        version=there.version,
        teacher=there.teacher,
        weights=there.weights,
        tokenizer=tokenizer_fingerprint(tokenizer),
        template=fingerprint(str(tokenizer.chat_template)),
        data="",
        rendering=choices,
        payload=there.payload,
        vocabulary=there.vocabulary,
        shard_tokens=there.shard_tokens,
    )
    signals.check(here, rows)


def tokenizer_of_store(signals: Signals) -> Any:
    """The tokenizer of a store's teacher.

    Raises:
        StoreError: the store has none.
    """
    place = signals.folder / TOKENIZER
    if not place.is_dir():
        raise StoreError(f"store must have its teacher's {TOKENIZER}/, got {signals.folder}. Capture again.")
    return load_tokenizer(place)


def captured_length(signals: Signals) -> int | None:
    """Most tokens of a row that a store was captured with."""
    length = signals.manifest.identity.rendering.get("max_length")
    return None if length is None else int(length)


def shared_with_store(signals: Signals, tokenizer: Any, student_size: int) -> int:
    """Token ids that the student and a store's teacher share.

    Raises:
        VocabularyError: they mean other tokens by some ids.
        StoreError: the store has no tokenizer.
    """
    shared = check_shared(tokenizer, tokenizer_of_store(signals), student_size, signals.vocabulary)
    if signals.payload.hidden is not None and shared > signals.vocabulary:
        raise StoreError(
            f"the stored head must have a column for every id up to {shared - 1}, got {signals.vocabulary}. "
            "Use the teacher's tokenizer for the student."
        )
    return shared


def check_shared(tokenizer: Any, teachers: Any, student_size: int, vocabulary: int = 0) -> int:
    """Token ids that a student shares with a teacher whose head is not at hand, of at least `vocabulary` ids.

    Raises:
        VocabularyError: they mean other tokens by some ids.
    """
    # A student's added tokens need no column: what the teacher gives them is in the tail, or nothing.
    size = max(vocabulary, student_size, 1 + max(teachers.get_vocab().values()))
    return shared_vocabulary(tokenizer, teachers, student_size, size).size


def open_store(folder: Path, where: str, *, verify: bool) -> Signals:
    """A store, with its problems said at a place of the recipe."""
    try:
        return Signals(folder, verify=verify)
    except StoreError as error:
        raise StoreError([Problem(where, str(problem)) for problem in error.problems]) from None


def is_topk(word: str, steps: Sequence[Step]) -> bool:
    """Whether a store is of top-k; of one that cannot be read, which is said elsewhere, False.

    Args:
        word: its folder, or the out of a capture.
        steps: before the step that reads it.
    """
    capture = Capture.that_made(word, steps)
    if capture is not None:
        return capture.payload.topk is not None
    try:
        return Manifest.read(Path(word).expanduser()).payload.topk is not None
    except StoreError:
        return False


def positions_of(rendered: Dataset) -> int:
    """Positions that learn something, at most: one for every token that is a target."""
    name = next((name for name in _LEARNT_COLUMNS if name in rendered.column_names), None)
    if name is None:
        raise ConfigError("rows of a capture must have targets at tokens: causal or seq2seq ones.")
    values = Ragged.of_column(rendered, name).values
    return int(values.sum()) if name == "is_target" else len(values)


def predicted_bytes(payload: Payload, positions: int, *, vocabulary: int, width: int) -> int:
    """Size of a store, at most and roughly; a rehearsal measures it."""
    if payload.topk is not None:
        ids = min(payload.topk.max, vocabulary)
        return positions * (_BYTES_A_POSITION + ids * min(_BITS_AN_ID, id_bits(vocabulary) + 4) // 8)
    assert payload.hidden is not None
    return positions * width * _HEADS[payload.hidden.dtype] + 4 * vocabulary * width


def summary(manifest: Manifest) -> str:
    """A store in a sentence."""
    each = manifest.bytes / max(1, manifest.positions)
    return (
        f"{manifest.rows:,} rows, {manifest.positions:,} positions, {manifest.bytes:,} bytes in "
        f"{len(manifest.shards)} shards, {each:.1f} bytes a position."
    )
