"""Recipes that write, watch or learn hyperparameters while training, at size tiny."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck import recipes
from limbeck.recipes import Recipe

WRITING = {"max_new_tokens": 5}
INPUTS: Mapping[str, Mapping[str, Any]] = {
    "gkd": WRITING,
    "on_policy": WRITING,
    "distillm": WRITING | {"validation": 4, "validate_every": 1, "capacity": 8},
    "distillm2": WRITING,
    "minillm": WRITING | {"round_prompts": 8, "round_epochs": 2},
    "semantic_revision": WRITING | {"validation": 4, "validate_every": 1, "capacity": 8, "tolerance": -1.0},
    "taid": {},
    "ctkd": {},
    "ddk": {"validation": 9, "update_every": 1},
}
"""What makes every part of a recipe happen within a few steps."""


def tiny_recipe(name: str, world: Path, **inputs: Any) -> Recipe:
    """The recipe on the world's models and rows."""
    data = "domains.jsonl" if name == "ddk" else "answers.jsonl"
    small = {"max_steps": 5, "per_device_train_batch_size": 4, "heldout": 4, "max_length": 48}
    places = {key: str(world / key) for key in ("teacher", "student")} | {"data": str(world / data)}
    return getattr(recipes, name)(**{**places, **small, "learning_rate": 1e-3, **INPUTS[name], **inputs})


def changed(recipe: Recipe, out: str, **fields: Any) -> Recipe:
    """The recipe with other fields in the step that makes `out`."""
    steps = tuple(step.model_copy(update=fields) if step.out == out else step for step in recipe.steps)
    return recipe.model_copy(update={"steps": steps})
