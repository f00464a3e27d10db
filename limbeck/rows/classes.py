"""Rows for encoders and classifiers: whole inputs, and labels as class ids."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from limbeck.core.class_names import class_of, folded
from limbeck.core.errors import Problem, RowError
from limbeck.rows.facts import facts_of
from limbeck.rows.kinds import Kind
from limbeck.rows.problems import refuse_rows
from limbeck.rows.rendering import INPUTS_CUT, Rendering
from limbeck.rows.tokens import Ids, encode_whole

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Row = Mapping[str, Any]


class EncoderExample(NamedTuple):
    """One input: ids [n], the text of a pair each token belongs to ([n], or empty), and the class."""

    row_id: str
    input_ids: Ids
    token_type_ids: Ids
    label: int = -1


def label_names(*parts: "Dataset") -> tuple[str, ...]:
    """The classes of all parts in the data's own order; else whole numbers by value, other by alphabet.

    Raises:
        RowError: no column `label`, or labels that differ in nothing but case, blanks or underscores.
    """
    for part in parts:
        if "label" not in part.column_names:
            raise RowError(
                f"rows of a classifier must have the column `label`, got {', '.join(part.column_names)}. "
                "Rename one with columns: {label: ...}."
            )
    counts = Counter(str(label).strip() for part in parts for label in part["label"])
    _refuse_alike(counts)
    known = facts_of(parts[0]).classes if parts else ()
    if known and set(counts) <= set(known):
        return tuple(known)
    try:
        return tuple(sorted(counts, key=int))
    except ValueError:
        return tuple(sorted(counts))


def _refuse_alike(counts: Mapping[str, int]) -> None:
    alike: dict[str, list[str]] = {}
    for name in sorted(counts):
        alike.setdefault(folded(name), []).append(name)
    problems = [
        Problem(
            "label",
            "classes must differ in more than case, blanks and underscores, got "
            + ", ".join(f"{name!r} ({counts[name]:,} rows)" for name in names)
            + ".",
        )
        for names in alike.values()
        if len(names) > 1
    ]
    refuse_rows(problems, "Write each class in one way.")


def encoder_examples(
    rows: Sequence[Row],
    kind: Kind,
    tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    *,
    notes: Counter[str],
    problems: list[Problem],
) -> list[EncoderExample]:
    """One input a text: a pair gives two, `x` and `x#b`; tokens are joined by spaces."""
    texts = [(row_id, text) for row in rows for row_id, text in _texts(row, kind)]
    ids, types, cut = encode_whole(tokenizer, [text for _, text in texts], max_length=rendering.max_length)
    notes[INPUTS_CUT] += cut
    names = [row_id for row_id, _ in texts]
    return [EncoderExample(*values) for values in zip(names, ids, types, strict=True)]


def classifier_examples(
    rows: Sequence[Row],
    kind: Kind,
    tokenizer: "PreTrainedTokenizerBase",
    rendering: Rendering,
    *,
    notes: Counter[str],
    problems: list[Problem],
) -> list[EncoderExample]:
    """One input a row, a pair as one input with the tokenizer's marks between, and its class id."""
    found = {str(row["label"]) for row in rows}
    classes = {label: class_of(label, rendering.label_names) for label in found}
    allowed = ", ".join(rendering.label_names)
    for row in rows:
        if classes[str(row["label"])] is None:
            message = f"label must be one of {allowed}, got {row['label']}."
            problems.append(Problem(f"row {row['id']}", message))
    is_pair = kind is Kind.LABELLED_PAIR
    first = [row["text_a" if is_pair else "text"] for row in rows]
    second = [row["text_b"] for row in rows] if is_pair else None
    ids, types, cut = encode_whole(tokenizer, first, second, max_length=rendering.max_length)
    notes[INPUTS_CUT] += cut
    labels = [-1 if (place := classes[str(row["label"])]) is None else place for row in rows]
    names = [row["id"] for row in rows]
    return [EncoderExample(*values) for values in zip(names, ids, types, labels, strict=True)]


def _texts(row: Row, kind: Kind) -> list[tuple[str, str]]:
    if kind in (Kind.LABELLED_PAIR, Kind.SCORED_PAIR):
        return [(row["id"], row["text_a"]), (row["id"] + "#b", row["text_b"])]
    if kind is Kind.TAGS:
        return [(row["id"], " ".join(row["tokens"]))]
    column = {Kind.QUESTION: "question", Kind.PROMPT: "prompt"}.get(kind, "text")
    return [(row["id"], row[column])]
