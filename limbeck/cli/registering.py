"""How a command joins the program: guarded, its summary whole; and the options that many have."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from limbeck.cli.errors import guarded

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]

# Words like --max_steps=10 reach the recipe as key=value.
PAIRS = {"ignore_unknown_options": True}

F = TypeVar("F", bound=Callable[..., Any])


def command_of(group: typer.Typer, name: str | None = None, **settings: Any) -> Callable[[F], F]:
    """Register a guarded command, whose summary in the list of commands is not cut."""

    def register(command: F) -> F:
        summary = (command.__doc__ or "").strip().split("\n")[0]
        group.command(name, short_help=summary, **settings)(guarded(command))
        return command

    return register
