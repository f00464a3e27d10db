"""Consoles that print text as it is: paths and names may hold `[/b]` or `:warning:`."""

from typing import TextIO

from rich.console import Console


def plain_console(file: TextIO | None = None, *, stderr: bool = False) -> Console:
    """A console on a stream, the standard output by default, that reads no markup out of what it prints."""
    return Console(file=file, stderr=stderr, markup=False, emoji=False)
