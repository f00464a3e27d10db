"""What can be known of answers before they are written: where they end, and whether they fit."""

from collections.abc import Sequence
from typing import Any

from datasets import Dataset

from limbeck.core.batch import Source
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.generation_config import read_generation_config
from limbeck.core.kinds import KindName, kind_named
from limbeck.core.stops import stop_ids, told_ends
from limbeck.evaluation.data import EvaluationData
from limbeck.evaluation.prompts import fitting_prompts, prompt_room
from limbeck.evaluation.settings import EvaluationSettings
from limbeck.evaluation.written import check_prompts
from limbeck.recipes.steps import Evaluate, Generate
from limbeck.recipes.students import BYTES
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.prompts import render_prompts
from limbeck.rows.rendering import Rendering
from limbeck.runs.assembly.models import ModelInfo

_NO_LIMIT = 1_000_000  # positions, for models that name none


def said_of_ends(tokenizer: Any, *writers: ModelInfo) -> str:
    """A sentence on the tokens that end what these models write."""
    return told_ends(tokenizer, stop_ids(tokenizer, *map(_settings, writers)))


def prompts_to_answer(
    rows: Dataset, step: Generate, kind: KindName, tokenizer: Any, positions: int | None
) -> dict[str, list[int]] | None:
    """Prompts that a teacher is to answer, by row, as token ids; None for texts, which it goes on with.

    Rows whose prompt leaves no room are missing where they say so (`rows.too_long`).

    Raises:
        ConfigError: a text's prompt and answer do not fit its context.
        RowError: a row has no prompt, or one that leaves no room for the answer.
    """
    if kind_of(rows.column_names) is Kind.TEXT and kind_named(kind).decoder_only:
        if positions is not None and step.prompt_tokens + step.max_new_tokens > positions:
            raise ConfigError(
                Problem(
                    "max_new_tokens",
                    f"must be at most {max(positions - step.prompt_tokens, 0)}: the teacher has {positions} "
                    f"positions and prompt_tokens is {step.prompt_tokens}, got {step.max_new_tokens}.",
                )
            )
        return None
    room = (positions or _NO_LIMIT) - (0 if kind_named(kind).encoder_decoder else step.max_new_tokens)
    rendered = render_prompts(rows, tokenizer, Rendering(model_kind=kind, max_length=room))
    found = zip(rendered["row_id"], rendered["input_ids"], strict=True)
    return {row_id: list(ids) for row_id, ids in found}


def said_of_prompts(
    step: Evaluate, kind: KindName, source: Source, row_ids: Sequence[str], *writers: ModelInfo
) -> list[str]:
    """A sentence on held-out prompts that are passed over, if there are any.

    Raises:
        ConfigError: there is no prompt, or none that leaves room for a completion.
    """
    settings = EvaluationSettings(
        kind=kind,
        metrics=("generation",),
        prompts=step.prompts,
        max_new_tokens=step.max_new_tokens,
        seed=step.seed,
    )
    rows: dict[str, dict[str, Any]] = {row_id: {} for row_id in row_ids[: step.limit]}
    room = prompt_room(settings, [one.positions for one in writers])
    prompts, passed_over = fitting_prompts(EvaluationData([], source, rows, settings), room)
    check_prompts(prompts, passed_over, settings.max_new_tokens)
    if not passed_over:
        return []
    return [
        f"{passed_over:,} held-out prompts of more than {room:,} tokens are passed over: they leave no room "
        f"for {settings.max_new_tokens} new tokens."
    ]


def _settings(shape: ModelInfo) -> Any:
    """What transformers will take: generation_config.json, or the configuration of a model without one."""
    word = shape.tokenizer
    saved = None if word in (BYTES, f"./{BYTES}") else read_generation_config(word)
    return shape.config if saved is None else saved
