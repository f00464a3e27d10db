"""Entry point of `limbeck`; answers `list` without typer, which alone takes longer than the answer may."""

import sys


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    if words[:1] == ["list"] and "--help" not in words:
        from limbeck.cli.errors import guarded
        from limbeck.cli.listing import print_list

        guarded(print_list)(words[1:])
        return
    from limbeck.cli.app import app

    app()


if __name__ == "__main__":
    main()
