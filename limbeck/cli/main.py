"""Entry point of `limbeck`; answers `list` without typer, which alone takes longer than the answer may."""

import sys

_HELP = frozenset({"--help", "-h"})
_OF_RECIPES = ("show", "plan", "run")  # their help, after the name of a recipe, is of its inputs


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    asks = not _HELP.isdisjoint(words)
    if words[:1] == ["list"] and not asks:
        from limbeck.cli.errors import guarded
        from limbeck.cli.listing import print_list

        guarded(print_list)(words[1:])
        return
    if asks and len(words) > 1 and words[0] in _OF_RECIPES:
        from limbeck.cli.listing import recipe_text
        from limbeck.core.catalogue import catalogue

        if words[1] in catalogue("recipes"):
            print(recipe_text(words[1]))
            return
    from limbeck.cli.app import app

    app(prog_name="limbeck")


if __name__ == "__main__":
    main()
