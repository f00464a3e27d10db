"""How many of a step's requests may stay without an answer before it stops."""

from typing import Annotated, Any

from pydantic import BeforeValidator

_WORDS = {"skip": 1.0, "stop": 0.0}


def _share(value: Any) -> Any:
    return _WORDS.get(value, value) if isinstance(value, str) else value


Failures = Annotated[float, BeforeValidator(_share)]
"""A share, or a word for one end of it: `skip` leaves such rows out, `stop` stops at the first."""

MOST_FAILED: float = 0.2
"""Without a word of the user: enough for filtered and overlong prompts, too few to go unseen."""
