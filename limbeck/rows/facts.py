"""What is known of loaded rows beside the rows: notes on the loading, the order of their classes.

It lies in the description of the data set, so that it stays with rows that are selected, saved and read.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Facts:
    """Of rows.

    Attributes:
        notes: what loading left out or changed, a sentence each.
        classes: names of the classes in the data's own order; empty where it has none.
        unread: columns that nothing in reading or rendering uses.
        turned: whether prompts and answers became conversations.
    """

    notes: Sequence[str] = ()
    classes: Sequence[str] = ()
    unread: Sequence[str] = ()
    turned: bool = False


def with_facts(rows: "Dataset", facts: Facts) -> "Dataset":
    """The rows with these facts."""
    rows.info.description = json.dumps(asdict(facts))
    return rows


def facts_of(rows: "Dataset") -> Facts:
    """Facts of rows that `rows.load.load_rows` returned, also of some of them; none of others."""
    try:
        return Facts(**json.loads(rows.info.description or "{}"))
    except (ValueError, TypeError):  # rows from elsewhere, with a description in prose
        return Facts()
