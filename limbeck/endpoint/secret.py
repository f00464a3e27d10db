"""A provider's key: read from the environment, and never shown."""

import os
from urllib.parse import quote

from limbeck.core.errors import ConfigError


class Secret:
    """A key that only `reveal` shows: not `str`, `repr`, a traceback or a pickle."""

    __slots__ = ("_value", "variable")

    def __init__(self, value: str, variable: str) -> None:
        self._value = value
        self.variable = variable

    def reveal(self) -> str:
        """The key itself, for the header of a call."""
        return self._value

    def redacted(self, text: str) -> str:
        """A text without the key, in any spelling that a server or client may echo."""
        for spelling in {self._value, quote(self._value, safe="")}:
            text = text.replace(spelling, "[key]")
        return text

    def __repr__(self) -> str:
        return f"Secret({self.variable})"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(f"the key in {self.variable} must stay in its process")


def read_secret(variable: str | None) -> Secret | None:
    """The key in an environment variable; None where no variable is named.

    Raises:
        ConfigError: it is not set, or holds more than a key.
    """
    if variable is None:
        return None
    value = os.environ.get(variable, "").strip()
    if not value:
        raise ConfigError(
            f"api_key_env must name an environment variable that is set, got {variable}. Set it with "
            f"`export {variable}=...` in the shell that starts limbeck."
        )
    if not value.isascii() or any(character.isspace() for character in value):
        raise ConfigError(f"{variable} must hold a key and nothing else, got spaces or other letters in it.")
    return Secret(value, variable)
