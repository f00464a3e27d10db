"""A first recipe for two models and some rows, with the reason of each choice."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.core.catalogue import catalogue
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.kinds import kind_named
from limbeck.core.measures import metrics_of
from limbeck.core.training import AUTO
from limbeck.recipes.model import Recipe
from limbeck.recipes.steps import Train
from limbeck.recipes.students import Student
from limbeck.rows.kinds import Kind
from limbeck.runs.assembly.models import loaded_dtype, trained_dtype
from limbeck.runs.checking.plan import device_memory
from limbeck.runs.checking.planned import training_memory
from limbeck.runs.commands.findings import Findings
from limbeck.runs.resolve import resolve

PROMPTS = "prompts"
"""The recipe for rows without answers, which is made here and not in the catalogue."""

_LABELLED = (Kind.LABELLED_TEXT, Kind.LABELLED_PAIR)
_BATCHES = (32, 16, 8, 4, 2, 1)  # rows a batch; the recipes take 32 an optimizer step
_MULTIPLE = 64  # of max_length
_LONGEST, _WINDOW = 2048, 512  # tokens of a row, and of a window of plain text
_STEPS, _MOST_EPOCHS = 300, 10  # optimizer steps of a first run, if the rows allow it
_FULL = 0.7  # of the free memory: the estimate is rough
_HEADS = 12  # relation heads at most
_HELDOUT = (50, 500)  # rows, where there are enough

# A teacher that shares no tokens with the student is not measured beside it.
_MEASURED_ALONE = {
    "steps.evaluation.teacher": None,
    "steps.evaluation.metrics": ["perplexity", "generation", "speed"],
}

_Choice = tuple[str, dict[str, Any], str]


@dataclass(frozen=True)
class Initial:
    """A recipe that fits, and why.

    Attributes:
        recipe: complete.
        reasons: out of a step -> sentences on the choices in it.
    """

    recipe: Recipe
    reasons: Mapping[str, tuple[str, ...]]


def initial_recipe(found: Findings) -> Initial:
    """Choose a recipe and its settings.

    Raises:
        ConfigError: no recipe fits these models and rows.
    """
    name, inputs, why = _choice(found)
    sizes, reasons = _sizes(found)
    if name == PROMPTS:
        recipe = _for_prompts(found, sizes)
    else:
        known = catalogue("recipes")[name].keywords
        named = {"teacher": found.teacher_word, "student": found.student_word, "data": found.data}
        values = {key: value for key, value in {**named, **sizes, **inputs}.items() if key in known}
        recipe = resolve(name, values)
        kind = kind_named(found.student.kind)
        if name == "word_kd" and not kind.writes:
            recipe = resolve(recipe, {"steps.evaluation.metrics": metrics_of(kind.name)})
        if name == "seq_kd":
            recipe = resolve(recipe, _MEASURED_ALONE)
        accumulated = {key: sizes[key] for key in ("gradient_accumulation_steps",) if key in sizes}
        recipe = resolve(recipe, accumulated)
        reasons = {
            key: text for key, text in reasons.items() if {**values, **accumulated}.get(key) == sizes[key]
        }
    return Initial(recipe, _placed(recipe, why, reasons))


def _choice(found: Findings) -> _Choice:
    """The recipe, inputs of its own, and why it is this one."""
    ours, theirs = kind_named(found.student.kind), kind_named(found.teacher.kind)
    if found.kind in _LABELLED and found.teacher.kind is not None and not theirs.writes:
        return _labelled(found)
    if theirs.embeds and found.kind in (Kind.TEXT, Kind.SCORED_PAIR):
        heads = _common_heads(found.student.width, found.teacher.width)
        inputs = {"relation_heads": heads, "max_steps": _STEPS}
        return "minilm", inputs, "Encoders, no labels: the student learns the teacher's attention relations."
    if ours is theirs and ours.draws and found.same_ids and found.kind == Kind.TEXT:
        return "word_kd", {}, "Plain text: the student learns the teacher's distribution at hidden tokens."
    if not (ours.writes and theirs.writes) or found.kind == Kind.TAGS:
        raise ConfigError(
            Problem(
                "data",
                f"must be rows that a recipe can train these models on, got {found.kind.value} for a student "
                f"that is {found.student.kind or 'of unknown kind'} and a teacher that is "
                f"{found.teacher.kind or 'of unknown kind'}. "
                "`limbeck list` shows all recipes.",
            )
        )
    if found.kind == Kind.PROMPT:
        return PROMPTS, {}, "Prompts without answers: the student learns from the teacher's completions."
    if found.same_ids and ours is theirs:
        return "word_kd", {}, "One tokenizer: the student learns the teacher's distribution at every token."
    if ours.decoder_only and theirs.decoder_only:
        return (
            "alm",
            {},
            "Two tokenizers: the student learns how likely the teacher finds each chunk of text.",
        )
    inputs = {"max_steps": _STEPS, "max_new_tokens": _room(found)}
    return "seq_kd", inputs, "The models share no tokens: the student learns the teacher's completions."


def _labelled(found: Findings) -> _Choice:
    tuned = kind_named(found.teacher.kind).has_classes
    first = "which already has classes" if tuned else "which is fine-tuned on the labels first"
    inputs = {"teacher_is_tuned": tuned, "num_train_epochs": 3.0, "label_epochs": 1.0}
    return (
        "cost_effective",
        inputs,
        f"Labels: the student learns them and the scores of the teacher, {first}.",
    )


def _common_heads(*widths: int) -> int:
    common = math.gcd(*widths)
    return max(size for size in range(1, _HEADS + 1) if common % size == 0)


def _room(found: Findings) -> int:
    """Tokens of a completion: as long as the rows, within what both models read."""
    return max(16, min(256, _max_length(found) // 2))


def _max_length(found: Findings) -> int:
    limits = [shape.positions for shape in (found.student, found.teacher) if shape.positions]
    wanted = _WINDOW if found.kind == Kind.TEXT else _MULTIPLE * math.ceil((found.longest + 1) / _MULTIPLE)
    if found.kind == Kind.PROMPT:
        wanted = max(2 * wanted, _WINDOW)
    return min(wanted, _LONGEST, *limits)


def _sizes(found: Findings) -> tuple[dict[str, Any], dict[str, str]]:
    """Settings by the size of models and rows, and a reason for each."""
    length = _max_length(found)
    least, most = _HELDOUT
    heldout = max(1, min(most, max(found.rows // 20, min(least, found.rows // 5))))
    share = (found.rows - heldout) / found.rows
    entries = share * (found.total / length if kind_named(found.student.kind).packs else found.rows)
    in_all = next((size for size in _BATCHES if entries * _MOST_EPOCHS / size >= _STEPS), 1)
    batch, memory = _batch(found, length, in_all)
    steps = max(1, round(entries / in_all))
    epochs = min(max(1, math.ceil(_STEPS / steps)), _MOST_EPOCHS)
    values: dict[str, Any] = {
        "heldout": heldout,
        "learning_rate": AUTO,
        "num_train_epochs": float(epochs),
        "per_device_train_batch_size": batch,
        "max_length": length,
    }
    reasons = {
        "heldout": f"{heldout} rows are kept out of training to evaluate on.",
        "learning_rate": "learning_rate: by the size of the student; `limbeck plan` says what it comes to.",
        "num_train_epochs": f"num_train_epochs: about {epochs * steps} optimizer steps.",
        "per_device_train_batch_size": f"per_device_train_batch_size: {memory}.",
        "max_length": f"max_length: the longest row has about {found.longest} tokens"
        + ("; longer texts are split into windows." if found.kind == Kind.TEXT else "."),
    }
    if batch < _BATCHES[0]:
        values["gradient_accumulation_steps"] = _BATCHES[0] // batch
        reasons["gradient_accumulation_steps"] = (
            f"gradient_accumulation_steps: {_BATCHES[0]} rows a step in all."
        )
    return values, reasons


def _batch(found: Findings, length: int, most: int) -> tuple[int, str]:
    """The largest batch, at most `most`, whose training should fit the memory; and what it needs."""
    free = device_memory()
    read = found.teacher.parameters * loaded_dtype(found.teacher_word, found.teacher).itemsize
    dtype = trained_dtype(Student.model_validate(found.student_word), found.student)
    for size in (one for one in _BATCHES if one <= most):
        needed = read + training_memory(found.student, dtype, size * length)
        if needed < free * _FULL:
            return size, f"needs about {needed / 1e9:.2g} GB of memory, {free / 1e9:.3g} GB are free"
    return 1, (
        f"even one row needs about {needed / 1e9:.2g} GB of memory and {free / 1e9:.3g} GB are free; "
        "try lora_r=16, gradient_checkpointing=true or a smaller student"
    )  # fmt: skip


def _for_prompts(found: Findings, sizes: Mapping[str, Any]) -> Recipe:
    """The teacher completes all prompts; its completions of those held out are what is measured."""
    teacher, length = found.teacher_word, sizes["max_length"]
    asked = {"teacher": teacher, "max_new_tokens": _room(found)}
    train = {
        "out": "student",
        "student": found.student_word,
        "rows": "completions",
        "objective": [{"name": "cross_entropy"}],
        **{key: value for key, value in sizes.items() if key in Train.model_fields},
    }
    measured = {"model": "student", "rows": "measured", "metrics": ["perplexity", "generation", "speed"]}
    if found.same_ids and found.student.kind == found.teacher.kind:
        halves = [{"name": name, "weight": 0.5} for name in ("cross_entropy", "forward_kl")]
        train |= {"teacher": teacher, "objective": halves}
        measured |= {"teacher": teacher, "metrics": ["perplexity", "fidelity", "generation", "speed"]}
    load = {"out": "rows", "path": found.data, "heldout": 0, "validation": sizes["heldout"]}
    steps = [
        {"load": load},
        {"generate": {"out": "completions", "rows": "rows.train", **asked}},
        {"generate": {"out": "measured", "rows": "rows.validation", **asked}},
        {"train": train},
        {"evaluate": {**measured, "max_length": length}},
    ]
    return Recipe.from_data({"limbeck": 1, "name": PROMPTS, "steps": steps})


def _placed(recipe: Recipe, why: str, reasons: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Each reason at the step that it is about."""
    placed: dict[str, list[str]] = {step.out: [] for step in recipe.steps}
    load, trained = recipe.steps[0].out, [step.out for step in recipe.steps if step.makes == "model"]
    for out in trained:
        placed[out].append(_ROLES.get(out, ""))
    placed[trained[-1]] = [why]
    for key, text in reasons.items():
        placed[load if key == "heldout" else trained[-1]].append(text)
    return {out: tuple(filter(None, texts)) for out, texts in placed.items() if any(texts)}


_ROLES = {
    "baseline": "The same student without the teacher: it shows what the teacher adds.",
    "tuned": "The teacher learns the labels.",
}
