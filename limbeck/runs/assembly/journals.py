"""Where the answers of a teacher are kept: one file each, which all runs beside one another share."""

import hashlib
import re
from pathlib import Path

from limbeck.endpoint import Endpoint

FOLDER = "requests"
_SLUG = re.compile(r"[^A-Za-z0-9]+")
_LONGEST = 60  # characters of a file's name before its hash


def journal_of(endpoint: Endpoint, run: Path) -> Path:
    """The file with the answers of a teacher: where it says, or beside the run folders.

    Args:
        endpoint: the teacher.
        run: folder of the run.
    """
    if endpoint.journal is not None:
        return endpoint.journal.expanduser()
    digest = hashlib.sha256(f"{endpoint.url}\n{endpoint.model}\n{endpoint.label}".encode()).hexdigest()
    server = endpoint.url.partition("://")[2]
    slug = _SLUG.sub("-", f"{endpoint.model}-{server}").strip("-")[:_LONGEST].strip("-")
    return run.absolute().parent / FOLDER / f"{slug}-{digest[:8]}.sqlite"
