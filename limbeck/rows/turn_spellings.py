"""One shape for every spelling of a conversation: role, content, thoughts and tool calls of each turn."""

import json
from ast import literal_eval
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from limbeck.rows.content_parts import apart, has_own_parts
from limbeck.rows.turn_error import TurnError

ROLES: Mapping[str, str] = {
    "human": "user", "user": "user", "prompter": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "model": "assistant",
    "bot": "assistant", "ai": "assistant", "chatbot": "assistant", "bing": "assistant", "bard": "assistant",
    "system": "system",
    "tool": "tool", "observation": "tool", "function_response": "tool", "function": "tool",
    "tool_response": "tool", "tool_result": "tool", "function_result": "tool", "ipython": "tool",
}  # fmt: skip
"""Speakers of ShareGPT and others -> roles of chat templates."""

CALLING = frozenset({"function_call", "tool_call", "tool_calls"})
"""Speakers whose words are the JSON of calls: an assistant's turn."""

KEYS = ("role", "content", "reasoning_content", "tool_calls", "name", "tool_call_id", "train")
"""Of a turn; all but role and content only where the data has them."""

_THOUGHTS = (
    "reasoning_content", "reasoning", "thinking", "thought", "thoughts", "think", "reasoning_text",
    "chain_of_thought", "cot", "reasoning_details",
)  # fmt: skip
_LEARNT = ("train", "training", "trainable", "train_on_turn", "learn", "loss", "weight", "loss_weight")
_OF_LEARNING = frozenset({
    "train", "training", "trained", "trainable", "learn", "learned", "learnt", "loss", "weight",
    "mask", "masked", "supervise", "supervised",
})  # fmt: skip
"""Words in keys of turns that say what is in the loss."""

_WORDS = ("content", "value", "text", "parts")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "kwargs")
_OF_CALLS = frozenset({*_ARGUMENTS, "name", "type", "id", "index", "strict", "call_id", "tool_call_id"})
_READ = {"role", "from", *_WORDS, *_THOUGHTS, *_LEARNT, "tool_calls", "function_call", "name", "tool_call_id"}
_NO = frozenset({"0", "0.0", "false", "no"})
_YES = frozenset({"1", "1.0", "true", "yes"})
_MEANING = frozenset({"tools", "functions", "images", "image", "videos", "video", "audios", "audio"})


_NOTHING: Sequence[Any] = (None, [], {}, "")


def turns_of(value: Any, name: str) -> list[dict[str, Any]]:
    """The turns of a conversation, each with `role`, `content` and what else of `KEYS` it has.

    Args:
        value: a list of turns, a single turn, an object of columns (`{"role": [...], "content": [...]}`),
            or one of these as text, in JSON or as Python prints it.
        name: of the column, for messages.

    Returns:
        `arguments` of tool calls are JSON text; `train` is whether the turn may be learnt. Keys of a
        turn that limbeck does not know are kept where they are text, since a chat template may read them.

    Raises:
        TurnError: no list of turns, a turn without a known role or text, or calls that are no JSON.
    """
    if isinstance(value, str):
        value = parsed(value, name)
    if isinstance(value, dict):
        value = [value] if isinstance(value.get("role", value.get("from")), str) else _by_columns(value)
    if not isinstance(value, list) or not value or not all(isinstance(turn, dict) for turn in value):
        raise TurnError(f"{name} must be a list of turns with role and content, got {value!r:.60}.")
    return [_turn(one, name) for turn in value for one in _apart(turn)]


def _apart(turn: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A turn, or the turns that it holds: by speaker (`{"human": ..., "assistant": ...}`), or as parts."""
    if has_own_parts(turn.get("content")):
        return apart(turn)
    if "role" in turn or "from" in turn or not all(key.lower() in ROLES for key in turn):
        return (turn,)
    return [{"role": key, "content": value} for key, value in turn.items() if value not in _NOTHING]


def arguments_text(value: Any) -> str:
    """Arguments of a call as JSON text; a text is one already."""
    if value is None:
        return "{}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _turn(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    if len(given) == 2:  # the common case, twice as fast
        role, words = (
            ROLES.get(given.get("role", given.get("from"))),
            given.get("content", given.get("value")),
        )
        if role is not None and isinstance(words, str):
            return {"role": role, "content": words}
    turn = {key: value for key, value in given.items() if value is not None}
    role, calls = _role(turn, name), _calls(turn, name)
    made: dict[str, Any] = {"role": role, "content": None}
    words = next((turn[key] for key in _WORDS if key in turn), None)
    if _speaker(turn) in CALLING:
        made["tool_calls"] = _called(
            parsed(str(words), "a function call") if isinstance(words, str) else words
        )
    else:
        made["content"] = _content(words, role, name)
    if calls:
        made["tool_calls"] = calls
    if made["content"] is None and not made.get("tool_calls"):
        raise TurnError(f"every turn of {name} must have text as content, got {words!r:.60}.")
    thoughts = [turn[key] for key in _THOUGHTS if turn.get(key)]  # services give one under two names
    if thoughts:
        made["reasoning_content"] = _content(thoughts[0], role, name)
    for key in ("name", "tool_call_id"):
        if turn.get(key):
            made[key] = str(turn[key])
    learnt = [_is_learnt(turn[key], key) for key in _LEARNT if key in turn]
    if learnt:
        made["train"] = all(learnt)
    return made | _others(turn, name)


def _speaker(turn: Mapping[str, Any]) -> Any:
    return turn["role"] if "role" in turn else turn.get("from")


def _role(turn: Mapping[str, Any], name: str) -> str:
    speaker = _speaker(turn)
    if not isinstance(speaker, str) or not speaker.strip():
        raise TurnError(f"every turn of {name} must have a role, got {dict(turn)!r:.60}.")
    word = speaker.strip()
    if word.lower() in CALLING:
        return "assistant"
    if word.lower() not in ROLES and "role" not in turn:
        allowed = ", ".join((*ROLES, *sorted(CALLING)))
        raise TurnError(f"the speaker `from` must be one of {allowed}, got {word}.")
    return ROLES.get(word.lower(), word)


def _content(words: Any, role: str, name: str) -> str | None:
    if words is None or isinstance(words, str):
        return words
    if isinstance(words, list) and all(isinstance(part, dict | str) for part in words) and words:
        return "".join(_part(part, name) for part in words)
    if role == "tool" or isinstance(words, int | float):  # what a tool gives back is data
        return json.dumps(words, ensure_ascii=False)
    if words == []:
        return None
    raise TurnError(f"every turn of {name} must have text as content, got {words!r:.60}.")


def _part(part: Any, name: str) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("type", "text")
    text = part.get("text", part.get("content"))
    if kind not in ("text", "input_text", "output_text") or not isinstance(text, str):
        raise TurnError(
            f"parts of the content of {name} must be text, got {kind}. Models here read text alone."
        )
    return text


def _calls(turn: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    given = turn.get("tool_calls") or turn.get("function_call")
    if not given:
        return []
    return _called(parsed(given, f"tool_calls of {name}") if isinstance(given, str) else given)


def _called(given: Any) -> list[dict[str, Any]]:
    calls = given if isinstance(given, list) else [given]
    made = []
    for call in calls:
        function = call.get("function", call) if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise TurnError(f"a tool call must have the name of a function and arguments, got {call!r:.60}.")
        arguments = _one_of(function, _ARGUMENTS, "a tool call")
        unknown = [key for key, value in function.items() if key not in _OF_CALLS and value not in _NOTHING]
        if unknown:
            raise TurnError(f"a tool call must have a name and arguments, got also {', '.join(unknown)}.")
        entry = {"type": str(call.get("type") or "function")}
        if call.get("id"):
            entry = {"id": str(call["id"]), **entry}
        made.append({**entry, "function": {"name": function["name"], "arguments": arguments_text(arguments)}})
    return made


def _one_of(given: Mapping[str, Any], keys: Sequence[str], what: str) -> Any:
    """What stands under one of these keys; nothing where under none."""
    found = [key for key in keys if given.get(key) not in _NOTHING]
    if len(found) > 1:
        raise TurnError(f"{what} must have one of {', '.join(found)}, got both.")
    return given[found[0]] if found else None


def _is_learnt(value: Any, key: str) -> bool:
    word = str(value).strip().lower()
    if word not in _NO | _YES:
        raise TurnError(f"{key} of a turn must be 0 or 1, got {value!r:.30}; turns have no weights between.")
    return word in _YES


def _others(turn: Mapping[str, Any], name: str) -> dict[str, str]:
    others = {key: value for key, value in turn.items() if key not in _READ and value not in _NOTHING}
    lost = [key for key in others if key in _MEANING]
    unclear = [key for key in others if not _OF_LEARNING.isdisjoint(key.lower().split("_"))]
    if unclear:
        raise TurnError(
            f"turns of {name} must say whether they are learnt as train: true or false, got {unclear[0]}: "
            f"{others[unclear[0]]!r:.40}. Write it as `train`."
        )
    if lost:
        raise TurnError(
            f"turns of {name} must be text, got {', '.join(lost)} in a turn. Tools go into a column `tools` "
            "beside the conversation."
        )
    return {key: value for key, value in others.items() if isinstance(value, str)}


def parsed(text: str, name: str) -> Any:
    """What a text says in JSON, or as Python prints it.

    Raises:
        TurnError: it is neither.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        if "'" in text:
            with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
                return literal_eval(text.strip())  # as pandas writes lists into csv
        message = f"{name} must be JSON where it is a text, got {text!r:.60} ({error.msg.lower()})."
        raise TurnError(message) from error


def _by_columns(found: Mapping[str, Any]) -> Any:
    """A list of turns from an object of lists, as older data sets hold a sequence of objects."""
    lists = {key: value for key, value in found.items() if isinstance(value, list)}
    sizes = {len(value) for value in lists.values()}
    if len(sizes) != 1 or lists.keys() != found.keys():
        return found
    return [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
