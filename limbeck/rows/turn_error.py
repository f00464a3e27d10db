"""What a conversation that cannot be read raises."""


class TurnError(ValueError):
    """A conversation cannot be read; the message says why."""
