"""What a command line changes in the plain data of a recipe: settings of every training, fields by path.

A path names a step by its out or by its number: `steps.student.max_steps`, `steps.2.train.max_steps`.
The kind of the step may be left out.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any

from limbeck.core.errors import Problem
from limbeck.core.lookup import did_you_mean, nearest
from limbeck.recipes.aliases import ALIASES, INSTEAD
from limbeck.recipes.steps import STEPS, Train

STEP_SETTINGS = Train.settings
"""What an undotted key may set in every train step: how to train, never what on.

Other kinds of step take those that are settings of theirs, too.
"""

_TOP = ("steps", "name", "limbeck")


def overridden(data: Any, settings: Mapping[str, Any], paths: Mapping[str, Any]) -> tuple[Any, list[Problem]]:
    """A recipe's plain data with settings of every training and values by path put in.

    Args:
        data: as of `Recipe.to_data`, or as the user wrote it.
        settings: field of train steps -> value.
        paths: dotted path -> value.

    Returns:
        The changed data, and what is wrong with settings and paths.
    """
    changed = deepcopy(data)
    problems: list[Problem] = []
    steps = changed.get("steps") if isinstance(changed, dict) else None
    if not isinstance(steps, list):
        return changed, problems
    found = [
        (kind, fields)
        for step in steps
        for kind, fields in (step if isinstance(step, dict) else {}).items()
        if kind in STEPS and isinstance(fields, dict)
    ]
    for key, value in settings.items():
        if Train.kind not in dict(found):
            problems.append(Problem(key, "is a setting of train steps, and the recipe has none."))
        for fields in (fields for kind, fields in found if key in STEPS[kind].settings):
            fields[key] = value
    for path, value in paths.items():
        problem = _set(changed, path, value)
        if problem is not None:
            problems.append(Problem(path, problem))
    return changed, problems


def unknown_keys(words: set[str], recipe: str | None, inputs: Collection[str], data: Any) -> list[Problem]:
    """Undotted keys that are neither inputs nor settings of training.

    Args:
        words: the keys.
        recipe: its name, if it is one of the catalogue.
        inputs: of that recipe.
        data: the recipe's plain data.
    """
    return [Problem(word, _said_unknown(word, recipe, inputs, data)) for word in sorted(words)]


def _said_unknown(word: str, recipe: str | None, inputs: Collection[str], data: Any) -> str:
    known = (*STEP_SETTINGS, *inputs)
    alias = ALIASES.get(word)
    if alias == "--out":
        return f"is no input. Write {alias} FOLDER."
    if alias in known:
        return f"unknown key '{word}'. Did you mean '{alias}'?"
    if word in INSTEAD:
        return f"unknown key '{word}'. {INSTEAD[word]}"
    places = _places(word, data)
    if places:
        named = " or ".join(f"{path}=..." for path in places)
        return f"is not an input of {recipe or 'this recipe'}; set it on a step: {named}"
    if nearest(word, known) or recipe is None:
        return f"unknown key '{word}'.{did_you_mean(word, known)}"
    return (
        f"unknown key '{word}'. {recipe} takes {', '.join(inputs)}, and settings of training; see "
        f"`limbeck list recipes {recipe}` and `limbeck list settings`."
    )


def _places(word: str, data: Any) -> list[str]:
    """Paths of the fields of that name."""
    steps = data.get("steps", []) if isinstance(data, dict) else []
    steps = steps if isinstance(steps, list) else []
    return [
        f"steps.{name}.{word}"
        for name, step in zip(_names(steps), steps, strict=True)
        for kind in (step if isinstance(step, dict) else {})
        if kind in STEPS and word in STEPS[kind].model_fields
    ]


def _names(steps: Sequence[Any]) -> list[str]:
    """What each step is called in a path: its out, or its number where there is none."""
    found = []
    for place, step in enumerate(steps):
        kind, fields = next(iter(step.items())) if isinstance(step, dict) and step else ("", None)
        out = fields.get("out") if isinstance(fields, dict) else None
        usual = STEPS[kind].model_fields["out"].default if kind in STEPS else None
        found.append(next((one for one in (out, usual) if isinstance(one, str)), str(place)))
    return found


def _set(data: dict[str, Any], path: str, value: Any) -> str | None:
    """Put `value` at a dotted path; what is wrong with the path, if anything."""
    head, *words = path.split(".")
    if head not in _TOP:
        return f"unknown key '{head}'.{did_you_mean(head, _TOP[:2])}"
    if head == "steps":
        return _set_in_step(data["steps"], words, value)
    data[head] = value
    return f"has no fields, got '{words[0]}'." if words else None


def _set_in_step(steps: list[Any], words: list[str], value: Any) -> str | None:
    if len(words) < 2:
        return "must name a step and a field, for example steps.student.max_steps=10."
    names, (name, *inner) = _names(steps), words
    if name in names:
        place = names.index(name)
    elif name.isdigit() and int(name) < len(steps):
        place = int(name)
    else:
        return f"unknown step '{name}'. There are: {', '.join(_numbered(names))}."
    step = steps[place]
    kind = next(iter(step)) if isinstance(step, dict) and step else ""
    if inner[0] in STEPS and inner[0] != kind:
        return f"step {place} is `{kind}` {names[place]}, got '{inner[0]}'."
    inner = inner[1:] if inner[0] == kind else inner
    if not inner or not isinstance(step.get(kind), dict):
        return f"must name a field, for example steps.{names[place]}.out."
    return _put(step[kind], inner, value)


def _numbered(names: Sequence[str]) -> list[str]:
    return [f"{place} {name}" for place, name in enumerate(names)]


def _put(place: Any, words: Sequence[str], value: Any) -> str | None:
    """Put `value` at a path inside a step, making mappings on the way."""
    for word in words[:-1]:
        if isinstance(place, list):
            wrong = _no_item(place, word)
            if wrong:
                return wrong
            place = place[int(word)]
            continue
        if not isinstance(place.get(word), dict | list):
            place[word] = {}
        place = place[word]
    last = words[-1]
    if isinstance(place, list):
        wrong = _no_item(place, last)
        if wrong:
            return wrong
        place[int(last)] = value
    else:
        place[last] = value
    return None


def _no_item(items: Sequence[Any], word: str) -> str | None:
    if word.isdigit() and int(word) < len(items):
        return None
    return f"must name an item by a number from 0 to {len(items) - 1}, got '{word}'."
