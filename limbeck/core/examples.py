"""What the examples that are made of a data row are called."""

from collections.abc import Container


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
