"""How well a model expects the answers of rows, behind their prompts and without them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from limbeck.core.decoder_start import decoder_start
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.examples import by_row
from limbeck.core.forward_model import ForwardModel
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.needs import DISTRIBUTION
from limbeck.core.target_log_probs import answer_losses
from limbeck.recipes.steps import Select
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.read import quiet
from limbeck.rows.render import render
from limbeck.rows.rendering import Rendering
from limbeck.rows.source import PaddedSource
from limbeck.runs.assembly.features.given import Given

_EMPTIED: Mapping[Kind, str] = {Kind.COMPLETION: "prompt", Kind.QUESTION: "question"}


def losses_of(given: Given) -> np.ndarray:
    """[N] mean cross-entropy of each row's targets, in nats."""
    return np.asarray([one.mean() for one in _answers(given, alone=False)])


def losses_alone_of(given: Given) -> np.ndarray:
    """[N] the same without the prompts: of the same tokens, as far as both have them.

    Without a prompt an answer's first token may have nothing before it to be predicted from.
    """
    return np.asarray([one.mean() for one in _answers(given, alone=True)])


def shared_tails(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The last losses of each of the first, as many as the second of the pair has at most."""
    return [one[len(one) - min(len(one), len(other)) :] for one, other in zip(first, second, strict=True)]


def scoring(step: Select, kind: KindName, classes: tuple[str, ...]) -> Rendering:
    """How rows are read that a model scores."""
    return Rendering(
        model_kind=kind,
        max_length=step.max_length,
        max_target_length=step.max_length,
        label_names=classes if kind_named(kind).has_classes else (),
    )


def _answers(given: Given, *, alone: bool) -> list[np.ndarray]:
    """Losses of the targets of each row; with IFD's second reading, of those that both readings have."""
    whole = _token_losses(given, given.rows, "losses")
    if "alone_losses" not in given.step.selector.features:
        return whole
    bare = _token_losses(given, without_prompts(given.rows), "alone")
    return shared_tails(bare, whole) if alone else shared_tails(whole, bare)


def _token_losses(given: Given, rows: Dataset, name: str) -> list[np.ndarray]:
    """Losses of the targets of each data row: of all its windows and turns, one after the other."""
    flat = given.kept(f"{name}-tokens", lambda: _scored(given, rows))
    places, losses = flat[0].astype(np.int64), flat[1]
    counts = np.bincount(places, minlength=len(rows))
    missing = np.flatnonzero(counts == 0)
    if len(missing):
        raise ConfigError(
            f"row {rows['id'][int(missing[0])]} must have a token that is learnt within max_length "
            f"{given.step.max_length}, got none. Raise it, or leave the row out."
        )
    return np.split(losses, np.cumsum(counts)[:-1])


def _scored(given: Given, rows: Dataset) -> np.ndarray:
    """[2, tokens]: the place of each target's data row, and the target's loss."""
    step, work = given.step, given.work
    assert step.model is not None, "checked with the recipe"
    kind = work.kind("auto", step.model)
    classes = work.classes_of(step.rows, [step.model]) if kind_named(kind).has_classes else ()
    model, tokenizer = work.load_model(step.model, kind, classes).eval(), work.load_tokenizer(step.model)
    rendering = scoring(step, kind, classes)
    rendered = render(rows, tokenizer, rendering)
    source = PaddedSource(
        rendered, rendering, int(tokenizer.pad_token_id), decoder_start(model.config, tokenizer)
    )
    reader = ForwardModel(model).probe()
    found: list[Any] = [None] * len(source)
    order = sorted(range(len(source)), key=lambda entry: -source.lengths[entry])
    for start in range(0, len(order), step.batch_size):
        entries = order[start : start + step.batch_size]
        batch = source.batch(entries).to(work.device)
        with torch.no_grad():
            losses = answer_losses(reader.read(batch.inputs, DISTRIBUTION), batch)
        for entry, values in zip(entries, losses, strict=True):
            found[entry] = values.float().cpu().numpy()
        work.advance(start / len(order), "scoring answers")
    members = by_row(source.rows.row_ids, rows["id"])
    counts = [sum(len(found[entry]) for entry in row) for row in members]
    owner = np.repeat(np.arange(len(members), dtype=np.float64), counts)
    losses = [found[entry] for row in members for entry in row]
    return np.stack([owner, np.concatenate(losses).astype(np.float64)])


def without_prompts(rows: Dataset) -> Dataset:
    """The same answers with nothing asked; what a template writes around a question stays.

    Raises:
        ConfigError: rows of this kind have no prompt.
    """
    kind = kind_of(rows.column_names)
    if kind is Kind.MESSAGES:
        with quiet():
            return rows.map(lambda row: {"messages": [*map(_silent, row["messages"])]})
    if kind not in _EMPTIED:
        raise ConfigError(
            Problem(
                "selector", f"must be one for rows without a prompt, got rows of {kind.value}. Take top_k."
            )
        )
    with quiet():
        return rows.map(lambda row: {_EMPTIED[kind]: "" if isinstance(row[_EMPTIED[kind]], str) else []})


def _silent(turn: Mapping[str, Any]) -> dict[str, Any]:
    return dict(turn) if turn["role"] == "assistant" else {**turn, "content": ""}
