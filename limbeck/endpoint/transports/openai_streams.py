"""The pieces of a streamed answer in OpenAI's form, put together as the answer in one piece would be."""

from collections.abc import Mapping
from typing import Any

from limbeck.endpoint.reasoning import FIELDS


class Pieces:
    """Adds pieces up.

    Attributes:
        pieces: how many came.
    """

    def __init__(self) -> None:
        self._body: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self.pieces = 0

    def add(self, piece: Mapping[str, Any]) -> None:
        """One more piece."""
        for name in ("model", "system_fingerprint", "prompt_logprobs", "prompt_token_ids"):
            if piece.get(name) is not None:
                self._body[name] = piece[name]
        if piece.get("usage"):
            self._body["usage"] = piece["usage"]
        for told in piece.get("choices") or ():
            self._add_choice(told)

    @property
    def begun(self) -> bool:
        """Whether anything was written that is worth keeping."""
        return any(_said(choice) for choice in self._choices.values())

    @property
    def ended(self) -> bool:
        """Whether every choice has said why it ended."""
        return bool(self._choices) and all(choice["finish_reason"] for choice in self._choices.values())

    def body(self, *, interrupted: bool = False) -> dict[str, Any]:
        """The answer so far; a choice that has not ended is marked, where the stream broke off."""
        choices = [dict(choice) for _, choice in sorted(self._choices.items())]
        for choice in choices:
            if interrupted and not choice["finish_reason"]:
                choice["finish_reason"] = "interrupted"
        body = self._body | {"choices": choices}
        if interrupted and "usage" not in body:
            body["usage"] = None
        return body

    def _add_choice(self, told: Mapping[str, Any]) -> None:
        index = told.get("index") or 0
        choice = self._choices.setdefault(index, {"index": index, "finish_reason": None})
        if told.get("finish_reason"):
            choice["finish_reason"] = told["finish_reason"]
        if told.get("text") is not None:
            choice["text"] = choice.get("text", "") + told["text"]
        if "delta" in told:
            _add_delta(choice.setdefault("message", {}), told["delta"] or {})
        if told.get("logprobs"):
            _add_lists(choice.setdefault("logprobs", {}), told["logprobs"])
        for name in ("token_ids", "prompt_token_ids", "prompt_logprobs"):
            if told.get(name) is not None:
                choice.setdefault(name, []).extend(told[name])
        self.pieces += 1


def _said(choice: Mapping[str, Any]) -> bool:
    message = choice.get("message") or {}
    return bool(choice.get("text") or any(message.get(name) for name in ("content", "tool_calls", *FIELDS)))


def _add_delta(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name in ("content", "refusal", *FIELDS):
        if isinstance(delta.get(name), str):
            message[name] = (message.get(name) or "") + delta[name]
        elif name == "content" and "content" in delta:
            message.setdefault("content", None)
    for told in delta.get("tool_calls") or ():
        calls = message.setdefault("tool_calls", [])
        place = told.get("index")
        place = len(calls) if place is None else place
        while len(calls) <= place:
            calls.append({"id": "", "function": {"name": "", "arguments": ""}})
        call, function = calls[place], told.get("function") or {}
        call["id"] = told.get("id") or call["id"]
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""


def _add_lists(sum_of: dict[str, Any], told: Mapping[str, Any]) -> None:
    for name, value in told.items():
        if isinstance(value, list):
            sum_of.setdefault(name, []).extend(value)
