"""What the examples that are made of a data row are called."""

from collections.abc import Container, Sequence


def data_row(example_id: str, rows: Container[str]) -> str:
    """The id of the data row that an example was made from; its own where there is none.

    Windows of a long text, second answers and second tasks are named after their row: `id#1`, `id#rationale`.

    Args:
        example_id: as in `row_id` of rendered rows and `Batch.row_ids`.
        rows: ids of the data rows, which may hold a # themselves.
    """
    name = example_id
    while name not in rows and "#" in name:
        name = name.rpartition("#")[0]
    return name if name in rows else example_id


def by_row(example_ids: Sequence[str], rows: Sequence[str]) -> list[list[int]]:
    """For each data row the places of the examples that were made of it, in their order.

    Args:
        example_ids: as `row_id` of rendered rows.
        rows: ids of the data rows.
    """
    places = {name: place for place, name in enumerate(rows)}
    found: list[list[int]] = [[] for _ in rows]
    for example, name in enumerate(example_ids):
        found[places[data_row(name, places)]].append(example)
    return found
