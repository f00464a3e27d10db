"""Rows rendered for one model alone, as load and train steps with the same fields would render them."""

from collections.abc import Mapping
from typing import Any

from datasets import Dataset

from limbeck.core.models import kind_of, load_tokenizer, read_config
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Load, Train
from limbeck.rows.render import render
from limbeck.runs.assembly.models import located
from limbeck.runs.assembly.sources import rendering_of
from limbeck.runs.commands.fields import nested_fields
from limbeck.runs.commands.typed import typed_model
from limbeck.runs.steps.load import loaded

_LOADED = ("columns", "split", "limit", "chat", "special_tokens", "template_date")
_RENDERED = ("loss_on", "max_length", "max_target_length", "task", "model_kind")


def rendered_as(data: str, model: str, inputs: Mapping[str, Any]) -> tuple[int, Dataset, Any]:
    """The number of rows, the rows as `rows.render.render` returns them, and the tokenizer.

    Args:
        data: as `path` of a load step.
        model: folder or id of a model; of a folder with a tokenizer alone, a causal model is meant.
        inputs: fields of load and train steps.

    Raises:
        UserError: fields, data or model are wrong, or rows cannot be rendered.
    """
    model, fields = typed_model(model, "tokenizer"), nested_fields(inputs, (*_LOADED, *_RENDERED))
    load = {name: fields.pop(name) for name in _LOADED if name in fields}
    train = {"student": model, "rows": "rows.train", "objective": [{"name": "cross_entropy"}], **fields}
    recipe = Recipe.from_data(
        {
            "limbeck": 1,
            "name": "render",
            "steps": [
                {Load.kind: {"out": "rows", "path": data, "heldout": 0, **load}},
                {Train.kind: {"out": "student", **train}},
            ],
        }
    )
    read, trained = recipe.steps
    assert isinstance(read, Load) and isinstance(trained, Train)
    rows = loaded(read)[0]
    place = located(model)
    tokenizer = load_tokenizer(place)
    kind = trained.model_kind if trained.model_kind != "auto" else kind_of(read_config(place))
    rendering = rendering_of(trained, kind, task=trained.task, label_names=())
    return len(rows), render(rows, tokenizer, rendering), tokenizer
