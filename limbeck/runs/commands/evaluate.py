"""A recipe that only measures: rows to look at, and an evaluate step."""

from collections.abc import Mapping
from typing import Any

from limbeck.core.kinds import HEADLESS
from limbeck.core.measures import expects_teacher, metrics_of
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Evaluate, Load
from limbeck.runs.assembly.models import default_length, read_info
from limbeck.runs.commands.fields import nested_fields
from limbeck.runs.commands.typed import typed_model

_ROWS = "rows"
_LOADED = (
    "columns", "ignore", "split", "bad_rows", "too_long", "encoding",
    "chat", "special_tokens", "template_date",
)  # fmt: skip


def measuring(
    model: str, data: str, *, teacher: str | None, baseline: str | None, inputs: Mapping[str, Any]
) -> Recipe:
    """Load `data`, all of it held out, and compare the models on it.

    Args:
        model: folder or id of the model to measure.
        data: as `path` of a load step.
        teacher: folder or id, or None.
        baseline: folder or id of another student, or None.
        inputs: fields of the evaluate step, and those of the load step that say what is
            read (`columns`, `split`, ...); without `metrics`, all that the kind of model has.

    Raises:
        ConfigError: unknown fields.
        ModelError: the model is not there.
    """
    set_here = ("out", "model", "teacher", "baseline", "rows")
    allowed = [name for name in Evaluate.model_fields if name not in set_here] + list(_LOADED)
    fields = nested_fields(inputs, allowed)
    load = {
        "out": _ROWS,
        "path": data,
        "heldout": 0,
        **{key: fields.pop(key) for key in _LOADED if key in fields},
    }
    model = typed_model(model)
    teacher = teacher and typed_model(teacher, "teacher")
    baseline = baseline and typed_model(baseline, "baseline")
    kind = fields.get("model_kind") or read_info(model).kind or HEADLESS
    read = [word for word in (model, teacher, baseline) if word is not None]
    fields.setdefault("max_length", default_length(*read))
    fields.setdefault(
        "metrics",
        [name for name in metrics_of(kind) if teacher is not None or not expects_teacher(name)],
    )
    named = {"teacher": teacher, "baseline": baseline}
    evaluate = {"model": model, "rows": f"{_ROWS}.train", **{k: v for k, v in named.items() if v}, **fields}
    return Recipe.from_data(
        {"limbeck": 1, "name": "evaluate", "steps": [{Load.kind: load}, {Evaluate.kind: evaluate}]}
    )
