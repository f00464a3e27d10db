"""`limbeck view`: rows as a page that a browser opens from disk."""

import webbrowser
from pathlib import Path

from limbeck.view.export import build_view


def view_command(path: Path, out: Path | None, *, opens: bool) -> None:
    """Write the page, print where it is, and open it if asked to."""
    made = build_view(path, out)
    address = made.page.absolute().as_uri()
    print(f"{made.rows:,} row{'s' * (made.rows != 1)}: {address}")
    if opens and not webbrowser.open(address):
        print("note: no browser could be opened here. Open the address above in one.")
