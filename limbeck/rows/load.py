"""Loading: one call from a path to rows with known columns, an id each, and something to learn in each."""

from collections import Counter
from collections.abc import Mapping, Sequence

from datasets import Dataset, concatenate_datasets

from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.rows.check import check_rows
from limbeck.rows.normal import normalised, renamed
from limbeck.rows.problems import refuse_rows
from limbeck.rows.read import Part, quiet, read
from limbeck.rows.traces import paired

_NO_COLUMNS: Mapping[str, str] = {}


def load_rows(
    path: str, *, columns: Mapping[str, str] = _NO_COLUMNS, split: str | None = None, limit: int | None = None
) -> Dataset:
    """Rows with limbeck's column names and a text `id`, every one with something to learn from.

    Args:
        path: a .jsonl, .json, .parquet, .csv, .tsv, .txt (a line a row) or .arrow file; a folder of
            such files; a folder saved by `save_to_disk`; a folder of .py, .txt and .md files (a file a
            row); a hub id, `owner/name` or `owner/name:configuration`; or `standard_library`.
        columns: limbeck's name -> the name in the data, for example `{"rationale": "llm_rationale"}`.
        split: the split of a hub id or a saved dictionary; in a folder, the files with that word in
            their names; in one file, the rows with that value in the column `split`.
        limit: at most this many rows, from the front.

    Returns:
        The kind's columns (`rows.kinds`), the other columns as they were, and `id`: the column `id`
        of the data, else the file's name and the row's number from 1 (`train.jsonl:17`).

    Raises:
        ConfigError: path, columns, split or limit name something that is not there.
        RowError: the columns are of no kind, two rows share an id, or rows have nothing to learn from.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1, got {limit}. Leave it out to load every row.")
    path = str(path)
    with quiet():
        parts = [_prepared(part, columns, path, limit) for part in read(path, split)]
        rows = _joined(parts, path)
        rows = rows if limit is None else rows.select(range(min(limit, len(rows))))
        check_rows(rows, path)
    return rows


def _prepared(part: Part, columns: Mapping[str, str], where: str, limit: int | None) -> Dataset:
    size = len(part.rows) if limit is None else min(limit, len(part.rows))
    if size == 0:
        raise RowError(f"{where}: data must have at least one row, got none. Check the file and `split`.")
    rows = renamed(part.rows.select(range(size)), columns, where)
    rows, ids = paired(rows, _ids(rows, part.ids[:size], where), where)
    rows = normalised(rows, ids, where)
    return rows.remove_columns([name for name in ("id",) if name in rows.column_names]).add_column("id", ids)


def _ids(rows: Dataset, origins: Sequence[str], where: str) -> list[str]:
    if "id" not in rows.column_names:
        return list(origins)
    values = rows["id"]
    problems = [
        Problem(f"{where}, row {origin}", "id must be text or a number, got nothing.")
        for value, origin in zip(values, origins, strict=True)
        if value is None or value == ""
    ]
    refuse_rows(problems, "Fill the column `id`, or take it out: rows are then named by file and line.")
    return [str(value) for value in values]


def _joined(parts: Sequence[Dataset], where: str) -> Dataset:
    try:
        rows = concatenate_datasets(list(parts)) if len(parts) > 1 else parts[0]
    except (ValueError, TypeError) as error:
        why = str(error).strip().splitlines()[0]
        raise RowError(
            f"{where}: all files must have the same columns and types, got: {why} Load them one by one."
        ) from error
    counts = Counter(rows["id"])
    problems = [
        Problem(f"{where}, row {row_id}", f"id must belong to one row, got {count} rows.")
        for row_id, count in counts.items()
        if count > 1
    ]
    refuse_rows(problems, "Give every row an id of its own, or take the column `id` out.")
    return rows
