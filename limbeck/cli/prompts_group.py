"""`limbeck prompts`: its commands; everything slow is imported inside them."""

from pathlib import Path
from typing import Annotated

import typer

from limbeck.cli.registering import PAIRS, Debug, Json, command_of

PROMPTS = "List, fill and copy the prompts that operators ask by."

prompts = typer.Typer(no_args_is_help=True)


@command_of(prompts, "list")
def prompts_list(json: Json = False, debug: Debug = False) -> None:
    """List the prompts that come with limbeck, and the operators that use each."""
    from limbeck.cli.prompts import list_command

    list_command(as_json=json)


@command_of(prompts, "show", context_settings=PAIRS)
def prompts_show(
    prompt: Annotated[str, typer.Argument(metavar="NAME|FILE", help="Name of a prompt, or a .yaml file.")],
    pairs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...",
            help="data=FILE fills it from the first row; columns.prompt=question, split=test.",
        ),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Print a prompt; with data=FILE, what teacher and student read for the first row. Asks nobody."""
    from limbeck.cli.prompts import show_command

    show_command(prompt, pairs or [], as_json=json)


@command_of(prompts, "copy")
def prompts_copy(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of a prompt.")],
    target: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The new file. Default: NAME.yaml.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Copy a prompt into a file of your own, to be edited and named in a recipe."""
    from limbeck.cli.prompts import copy_command

    copy_command(name, target)
