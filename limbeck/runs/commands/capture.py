"""Captures outside of a recipe: a store of a file's rows, and a rehearsal on a sample of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limbeck.core.decoder_start import decoder_start
from limbeck.core.errors import ModelError
from limbeck.core.kinds import kind_named, kinds_that
from limbeck.core.models import kind_of, load_model, load_tokenizer, read_config
from limbeck.core.needs import DISTRIBUTION
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Capture, Load
from limbeck.rows.render import render
from limbeck.rows.source import PaddedSource
from limbeck.runs import ranks
from limbeck.runs.assembly.journals import journal_of
from limbeck.runs.assembly.models import default_length, located
from limbeck.runs.assembly.sources import rendering_of
from limbeck.runs.assembly.teachers.endpoint import settings_of
from limbeck.runs.commands.fields import nested_fields
from limbeck.runs.commands.typed import endpoint_typed, typed_model
from limbeck.runs.steps.load import loaded
from limbeck.signals.payload import Payload
from limbeck.signals.rehearse import CHOICES, Rehearsed, rehearse, sample_of
from limbeck.signals.rows import learnt_of
from limbeck.teachers import LocalTeacher

_ROWS, _OUT = "rows", "signals"
_LOADED = (
    "columns", "ignore", "split", "limit", "bad_rows", "too_long", "encoding",
    "chat", "special_tokens", "template_date",
)  # fmt: skip
_SET_HERE = ("out", "teacher", "rows", "folder")


def capturing(teacher: str, data: str, folder: Path, inputs: Mapping[str, Any]) -> Recipe:
    """A recipe that captures all rows of `data` into `folder`.

    Args:
        teacher: folder or id, or `{endpoint: URL, model: NAME, tokenizer: DIR}`.
        data: as `path` of a load step.
        folder: of the store.
        inputs: fields of the capture step, also by path (`payload.topk.max`), and those of the
            load step that say what is read (`columns`, `split`, `limit`, ...).

    Raises:
        ConfigError: unknown fields.
    """
    allowed = [name for name in Capture.model_fields if name not in _SET_HERE] + list(_LOADED)
    fields = nested_fields(inputs, allowed)
    load = {name: fields.pop(name) for name in _LOADED if name in fields}
    load |= {"out": _ROWS, "path": data, "heldout": 0}
    asked = _typed_teacher(teacher, folder)
    fields.setdefault("max_length", default_length(*_read(teacher)))
    capture = {"out": _OUT, "teacher": asked, "rows": f"{_ROWS}.train", "folder": str(folder), **fields}
    steps = [{Load.kind: load}, {Capture.kind: capture}]
    return Recipe.from_data({"limbeck": 1, "name": "capture", "steps": steps})


def _typed_teacher(text: str, folder: Path) -> Any:
    """A model, or an endpoint; what that answers is kept beside the store, as runs keep it beside theirs."""
    found = endpoint_typed(text)
    if found is None:
        return typed_model(text, "teacher")
    if found.journal is None:
        found = found.model_copy(update={"journal": str(journal_of(settings_of(found), folder))})
    return found


def _read(teacher: str) -> list[str]:
    """Models whose configuration says how long rows may be: at an endpoint, that beside the tokenizer."""
    found = endpoint_typed(teacher)
    if found is None:
        return [typed_model(teacher, "teacher")]
    word = found.tokenizer
    return [word] if word is not None and (Path(located(word)) / "config.json").is_file() else []


def rehearsal(recipe: Recipe, *, positions: int, choices: Sequence[Payload] = CHOICES) -> list[Rehearsed]:
    """What each choice of payload would cost and lose, on rows spread over the data.

    Args:
        recipe: of `capturing`.
        positions: of the sample, at least; fewer where the data is shorter.
        choices: payloads to compare.

    Raises:
        ModelError: the teacher is neither causal nor seq2seq.
    """
    load, step = recipe.steps
    assert isinstance(load, Load) and isinstance(step, Capture)
    if not step.teacher.models:
        raise ModelError(
            f"teacher must be a model in this process to be rehearsed, got {step.teacher.said}. Rehearse a "
            "copy of it here; a capture asks the server about a few rows first, and says what it found."
        )
    place = located(step.teacher.word)
    config, tokenizer = read_config(place), load_tokenizer(place)
    kind = kind_of(config) if step.model_kind == "auto" else step.model_kind
    if not kind_named(kind).storable:
        raise ModelError(f"teacher must be a {kinds_that('storable')} model to be captured, got {kind}.")
    rendering = rendering_of(step, kind, task=step.task, label_names=())
    rows = loaded(load)[0]
    wanted = min(len(rows), max(1, positions // 8))
    rendered = render(rows.select([n * len(rows) // wanted for n in range(wanted)]), tokenizer, rendering)
    source = PaddedSource(rendered, rendering, int(tokenizer.pad_token_id), decoder_start(config, tokenizer))
    vocabulary = min(int(config.get_text_config().vocab_size), 1 + max(tokenizer.get_vocab().values()))
    device = ranks.device()
    teacher = LocalTeacher(load_model(place, kind, dtype="auto"), vocabulary).to(device)

    def answers() -> Any:
        held, stride = 0, 7919  # a prime: rows from everywhere, whatever they are sorted by
        for number in range(len(source)):
            if held >= positions:
                return
            batch = source.batch([number * stride % len(source)]).to(device)
            loss_mask = learnt_of(batch)
            held += int(loss_mask.sum())
            yield teacher.answer(batch, DISTRIBUTION), loss_mask

    return rehearse(sample_of(answers(), choices), choices, vocabulary=vocabulary)
