"""`limbeck probe`: what an endpoint really does, by calls of a few tokens."""

import asyncio
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from limbeck.core.config import validate
from limbeck.runs.resolve import parse_pairs

if TYPE_CHECKING:
    from limbeck.endpoint.capabilities import Capabilities

RUN = Path("runs/probe")
"""A run that would look for its teachers' journals where runs do by default."""

_LABELS = {
    "chat": "messages (/chat/completions)",
    "completions": "texts (/completions)",
    "token_ids": "prompts of token ids",
    "n": "several answers in one call",
    "logprobs": "log-probabilities, chat",
    "completion_logprobs": "log-probabilities, texts",
    "prompt_logprobs": "log-probabilities, prompt",
    "seed": "seed",
    "schema": "JSON schema",
    "temperature": "temperature",
    "usage": "counts tokens",
}


def probe_command(url: str, pairs: Sequence[str], *, as_json: bool) -> None:
    """Asks an endpoint some twenty small questions and prints what came back.

    Args:
        url: base URL of its API.
        pairs: fields of an endpoint teacher: model=NAME, api_key_env=VARIABLE, journal=FILE.

    Raises:
        ConfigError: a field is wrong.
        UserError: the endpoint cannot be asked at all.
    """
    from limbeck.endpoint.known import probed
    from limbeck.endpoint.settings import Endpoint
    from limbeck.runs.assembly.journals import journal_of

    endpoint = validate(Endpoint, {"url": url, **parse_pairs(pairs)})
    journal = journal_of(endpoint, RUN)
    found = asyncio.run(probed(endpoint, journal=journal, again=True))
    if as_json:
        print(json.dumps(found.as_dict(), ensure_ascii=False))
        return
    print(f"{url}  model={endpoint.model}")
    for line in _lines(found):
        print(line)
    print(f"  kept in {os.path.relpath(journal)}, where runs look for it")


def _lines(found: "Capabilities") -> list[str]:
    width = max(map(len, _LABELS.values())) + 2
    lines = [
        f"  {label:<{width}}{_said(found, need):<14}{found.why.get(need, '')}".rstrip()
        for need, label in _LABELS.items()
    ]
    other = {
        "most tokens of an answer": found.limit,
        "refused fields": ", ".join(found.without) or "none",
        "thoughts": found.thoughts or "none seen",
        "prompt and answer": f"{found.context:,} tokens" if found.context else "not told",
        "server": found.server or "not told",
        "models": ", ".join(found.models) or "not told",
    }
    lines += [f"  {label:<{width}}{text}" for label, text in other.items()]
    lines += [f"  note: {note}" for note in found.notes]
    return [*lines, f"  {found.calls} calls"]


def _said(found: "Capabilities", need: str) -> str:
    if need == "schema":
        return "no" if found.tier == "prompt" else found.tier
    value = getattr(found, need)
    if need.endswith("logprobs"):
        return "no" if value is None else f"{value} a token"
    if need == "seed" and value is None:
        return "unknown"
    return "yes" if value else "no"
