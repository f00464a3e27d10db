"""What the columns of each kind become: texts that say something, labels by name, scores, lists."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from limbeck.rows.columns import Column, Part
from limbeck.rows.conversing import Bad
from limbeck.rows.kinds import Kind

_FILL = "Take the row out or fill it."


def kind_columns(part: Part, kind: Kind, bad: Bad) -> Part:
    """A part with its kind's columns in their last shape; `bad` takes rows with nothing to learn from."""
    return _NORMAL[kind](part, bad) if kind in _NORMAL else part


def _texts(*names: str) -> Callable[[Part, Bad], Part]:
    """Texts that must say something."""

    def made(part: Part, bad: Bad) -> Part:
        return part.having({name: _text(part.columns[name], name, bad) for name in names})

    return made


def _text(column: Column, name: str, bad: Bad, *, may_be_empty: bool = False) -> Column:
    texts = column.texts()
    for place, value in texts.wrong.items():
        bad.setdefault(place, f"{name} must be text, got {_kind_of(value)} {value!r:.60}.")
    values = _chunked(texts.values)
    if not may_be_empty:
        is_blank = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(values), ""), True)
        for place in np.flatnonzero(is_blank.to_numpy()).tolist():
            value = values[place].as_py()
            shown = "nothing" if value is None else f"{value!r:.60}"
            bad.setdefault(place, f"{name} must be text that is not empty, got {shown}. {_FILL}")
    return Column(values)


def _kind_of(value: Any) -> str:
    return {"dict": "object", "str": "text"}.get(type(value).__name__, type(value).__name__)


def _question(part: Part, bad: Bad) -> Part:
    part = _texts("question", "answer")(part, bad)
    if "rationale" in part.columns:
        part = part.having(
            {"rationale": _text(part.columns["rationale"], "rationale", bad, may_be_empty=True)}
        )
    if "choices" not in part.columns:
        return part
    found: list[list[str] | None] = []
    for place, given in enumerate(_lists(part.columns["choices"])):
        choices = given
        if isinstance(given, dict):  # {"label": [...], "text": [...]} or {"a": ..., "b": ...}
            choices = given.get("text") if "text" in given else list(given.values())
        is_fine = choices is None or (
            isinstance(choices, list) and all(isinstance(one, str) for one in choices)
        )
        if not is_fine:
            bad.setdefault(place, f"choices must be a list of texts, got {given!r:.60}.")
        found.append(choices if is_fine else None)
    return part.having({"choices": Column(pa.chunked_array([pa.array(found, pa.list_(pa.string()))]))})


def _tags(part: Part, bad: Bad) -> Part:
    tokens, tags = (list(_lists(part.columns[name])) for name in ("tokens", "tags"))
    for place, (one, other) in enumerate(zip(tokens, tags, strict=True)):
        if not isinstance(one, list) or not isinstance(other, list) or not one:
            bad.setdefault(
                place, f"tokens and tags must be lists that are not empty, got {one!r:.40} and {other!r:.40}."
            )
        elif len(one) != len(other):
            bad.setdefault(place, f"tokens and tags must be of one length, got {len(one)} and {len(other)}.")
    kept = [place not in bad for place in range(len(tokens))]
    made = {
        "tokens": [
            [str(token) for token in one] if good else None for one, good in zip(tokens, kept, strict=True)
        ],
        "tags": [[str(tag) for tag in one] if good else None for one, good in zip(tags, kept, strict=True)],
    }
    return part.having(
        {
            name: Column(pa.chunked_array([pa.array(rows, pa.list_(pa.string()))]))
            for name, rows in made.items()
        }
    )


def _lists(column: Column) -> Iterator[Any]:
    """Lists, also where a table that has none holds them as JSON text."""
    if column.form == "plain" and pa.types.is_string(column.values.type):
        column = Column(column.values, "json")
        try:
            yield from column.objects()
        except ValueError:
            yield from Column(column.values).objects()
        return
    yield from column.objects()


def _labelled(*names: str) -> Callable[[Part, Bad], Part]:
    def made(part: Part, bad: Bad) -> Part:
        part = _texts(*names)(part, bad)
        texts = part.columns["label"].texts()
        values = pc.utf8_trim_whitespace(_chunked(texts.values))
        names_of = {one: _label(one) for one in values.unique().to_pylist() if one is not None}
        labels = [names_of.get(one) for one in values.to_pylist()]
        is_float = part.columns["label"].form == "number" or pa.types.is_floating(
            part.columns["label"].values.type
        )
        for place, label in enumerate(labels):
            if place in texts.wrong:
                bad.setdefault(
                    place, f"label must be text or a whole number, got {texts.wrong[place]!r:.60}."
                )
            elif not label:
                bad.setdefault(place, "label must be text or a whole number, got nothing.")
            elif is_float and not label.lstrip("-").isdigit():
                bad.setdefault(
                    place, f"label must be text or a whole number, got {label}. Name a score `score`."
                )
        if is_float:
            labels = [label if label is None else _label(label) for label in labels]
        return part.having({"label": Column(pa.chunked_array([pa.array(labels, pa.string())]))})

    return made


def _label(text: str) -> str:
    """`1` for a class that a system without whole numbers wrote as `1.0`."""
    whole, point, zeros = text.partition(".")
    return whole if point and zeros.strip("0") == "" and whole.lstrip("-").isdigit() else text


def _scored(part: Part, bad: Bad) -> Part:
    part = _texts("text_a", "text_b")(part, bad)
    scores: list[float | None] = []
    for place, value in enumerate(part.columns["score"].objects()):
        try:
            score = None if value is None or isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            score = None
        if score is None or not np.isfinite(score):
            shown = "nothing" if value is None else f"{value!r:.60}"
            bad.setdefault(place, f"score must be a finite number, got {shown}.")
        scores.append(score)
    return part.having({"score": Column(pa.chunked_array([pa.array(scores, pa.float64())]))})


def _preference(part: Part, bad: Bad) -> Part:
    is_turned = pa.types.is_nested(part.columns["chosen"].values.type)
    if is_turned:
        _check_answers(part, bad)
        return part
    if "prompt" not in part.columns and "messages" not in part.columns:
        for place in range(len(part)):
            bad.setdefault(place, "chosen and rejected must follow a prompt or messages, got neither.")
    part = part.having(
        {
            "chosen": _text(part.columns["chosen"], "chosen", bad),
            # A model that said nothing is a fair loser.
            "rejected": _text(part.columns["rejected"], "rejected", bad, may_be_empty=True),
        }
    )
    for place in np.flatnonzero(pc.is_null(part.columns["rejected"].values).to_numpy()).tolist():
        bad.setdefault(place, f"rejected must be text that is not empty, got nothing. {_FILL}")
    return _texts("prompt")(part, bad) if "prompt" in part.columns else part


def _check_answers(part: Part, bad: Bad) -> None:
    has_before = "messages" in part.columns
    before = part.columns["messages"].objects() if has_before else iter([[]] * len(part))
    rows = zip(before, part.columns["chosen"].objects(), part.columns["rejected"].objects(), strict=True)
    for place, (earlier, chosen, rejected) in enumerate(rows):
        for name, turns in (("chosen", chosen), ("rejected", rejected)):
            if not turns or turns[-1]["role"] != "assistant":
                bad.setdefault(place, f"{name} must end with an assistant turn, got {turns!r:.60}.")
        if not earlier and chosen and chosen[0]["role"] == "assistant":
            bad.setdefault(place, "chosen and rejected must follow a prompt or messages, got neither.")


def _prompt(part: Part, bad: Bad) -> Part:
    column = part.columns["prompt"]
    if not pa.types.is_nested(column.values.type):
        return _texts("prompt")(part, bad)
    for place, turns in enumerate(column.objects()):
        if not turns:
            bad.setdefault(place, "prompt must be a list of turns with role and content, got nothing.")
    return part


_NORMAL: Mapping[Kind, Callable[[Part, Bad], Part]] = {
    Kind.PREFERENCE: _preference,
    Kind.COMPLETION: _texts("prompt", "completion"),
    Kind.QUESTION: _question,
    Kind.TAGS: _tags,
    Kind.LABELLED_PAIR: _labelled("text_a", "text_b"),
    Kind.SCORED_PAIR: _scored,
    Kind.LABELLED_TEXT: _labelled("text"),
    Kind.TEXT: _texts("text"),
    Kind.PROMPT: _prompt,
}


def _chunked(values: Any) -> pa.ChunkedArray:
    return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
