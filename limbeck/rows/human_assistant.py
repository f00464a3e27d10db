"""Conversations written as one text of `Human:` and `Assistant:`, as Anthropic's HH-RLHF has them."""

import re
from typing import Any

_MARK = re.compile(r"(?:^|\n\n)(Human|Assistant):[ ]?")
_ROLE = {"Human": "user", "Assistant": "assistant"}


def is_transcript(text: Any) -> bool:
    """Whether a text is such a conversation from its first word on."""
    return isinstance(text, str) and text.lstrip("\n").startswith("Human:") and "\n\nAssistant:" in text


def transcribed(text: str) -> list[dict[str, Any]]:
    """The turns of such a text."""
    pieces = _MARK.split("\n\n" + text.lstrip("\n"))
    return [
        {"role": _ROLE[speaker], "content": words.strip()}
        for speaker, words in zip(pieces[1::2], pieces[2::2], strict=True)
    ]
