"""At plan time: which teachers of a training read its rows in a chat format of their own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from limbeck.core.errors import ConfigError
from limbeck.core.rollouts import RolloutSettings
from limbeck.recipes.steps import Capture, Evaluate, Step, Train
from limbeck.runs.assembly.stores import captured_length, open_store, tokenizer_of_store
from limbeck.runs.assembly.views import OwnView, Reading
from limbeck.runs.checking.captured import capture_reading
from limbeck.runs.checking.model_infos import ModelInfos
from limbeck.signals.manifest import MANIFEST
from limbeck.teachers.vocabulary import same_ids

_BY_TOKEN = frozenset({"teacher_states", "teacher_qkv", "spans"})


def views_planned(
    step: Train | Evaluate, where: str, reading: Reading, known: ModelInfos, earlier: Sequence[Step]
) -> dict[str, OwnView]:
    """The own formats of models and stores that teach, by their word; what cannot go with one is noted.

    Teachers with other token ids are left out: they read texts, not formats.
    """
    found: dict[str, OwnView] = {}
    for path, one in (step.teacher.members if step.teacher is not None else {}).items():
        word = one.word
        with known.problems.at(f"{where}.teacher.{path}".rstrip(".")):
            own = _format(word, known, earlier) if one.view == "own" else None
            is_alike = own is not None and same_ids(reading.tokenizer, own[0])
            view = reading.own_view(*own) if own is not None and is_alike else None
            if view is not None:
                if isinstance(step, Train):
                    assert own is not None
                    _check(step, view, own[1])
                found[word] = view
    return found


def _format(word: str, known: ModelInfos, earlier: Sequence[Step]) -> tuple[Any, int | None] | None:
    """The tokenizer of a model or a store, and how many tokens of a row it reads; None if not known."""
    capture = Capture.that_made(word, earlier)
    if capture is not None:
        reading = capture_reading(capture, known)
        return None if reading is None else (reading.tokenizer, capture.max_length)
    if word in known.infos:
        return known.tokenizer(known.infos[word]), known.infos[word].positions
    if not (Path(word).expanduser() / MANIFEST).exists():
        return None  # said where the store is opened
    signals = open_store(Path(word).expanduser(), "", verify=False)
    return tokenizer_of_store(signals), captured_length(signals)


def _check(step: Train, view: OwnView, positions: int | None) -> None:
    """Refuse what does not go with a teacher that reads the rows in its own format.

    Raises:
        ConfigError: with the field that lets the teacher read the student's format.
    """
    writes = step.rollouts is not None and step.rollouts.teacher_writes
    apart = {
        "what it writes itself (rollouts.teacher, guide_share, corrections)": writes,
        "selection": step.selection is not None,
        "validation": step.validation is not None and step.validation.perplexities_by is not None,
        "task": view.viewed.unanswered > 0 and step.task != "default",
    }
    what = [name for name, given in apart.items() if given]
    inner = sorted({name for term in step.objective for name in term.signals if name in _BY_TOKEN})
    what += [f"objectives that read {' and '.join(inner)}"] if inner else []
    if what:
        raise ConfigError(
            f"must write a conversation as the student does for {' and '.join(what)}, got another chat "
            "template, begin or end token. Set teacher.view: student, so that it reads the student's format, "
            "or give the student the teacher's tokenizer files."
        )
    if step.rollouts is not None:
        _check_prompts(step.rollouts, view, positions)


def _check_prompts(settings: RolloutSettings, view: OwnView, positions: int | None) -> None:
    """Refuse rows with several answers, and prompts that leave the teacher no room for what is written."""
    if view.several:
        raise ConfigError(
            f"must have one answer a row to judge rollouts in its own format, got several in {view.several}. "
            "Set loss_on: last_assistant, or teacher.view: student."
        )
    longest = max(map(len, view.prompted(settings.prompt_tokens).prompts.values()), default=0)
    if positions is not None and longest + settings.max_new_tokens > positions:
        raise ConfigError(
            f"must hold prompts of up to {longest} tokens in its own format and rollouts.max_new_tokens "
            f"{settings.max_new_tokens}, got {positions} positions. Shorten completions or prompts."
        )
