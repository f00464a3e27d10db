"""Loading: one call from a path to rows with known columns, an id each, and something to learn in each."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset

from limbeck.core.errors import ConfigError, Problem, RowError
from limbeck.rows.columns import Column, Part
from limbeck.rows.facts import Facts, with_facts
from limbeck.rows.normal import Normal, must_have, normalised, renamed, without_ignored
from limbeck.rows.problems import refuse_rows
from limbeck.rows.read import quiet, read
from limbeck.rows.tables import rows_of
from limbeck.rows.traces import paired

BadRows = Literal["refuse", "drop"]
_NO_COLUMNS: Mapping[str, str] = {}


def load_rows(
    path: str,
    *,
    columns: Mapping[str, str] = _NO_COLUMNS,
    ignore: Sequence[str] = (),
    keep: Sequence[str] = (),
    split: str | None = None,
    limit: int | None = None,
    bad_rows: BadRows = "refuse",
    encoding: str | None = None,
) -> Dataset:
    """Rows with limbeck's column names and a text `id`, every one with something to learn from.

    Args:
        path: a .jsonl (.ndjson), .json, .parquet, .csv, .tsv, .txt (a line a row) or .arrow file, also
            compressed (.gz, .bz2, .xz, .zst); a pattern (`data/*.jsonl`); a folder of such files; a folder
            saved by `save_to_disk`; a folder of .py, .txt and .md files (a file a row); a hub id,
            `owner/name` or `owner/name:configuration`; or `standard_library`.
        columns: limbeck's name -> the name in the data, for example `{"rationale": "llm_rationale"}`.
        ignore: columns that are not read, though they carry meaning.
        keep: columns that carry meaning and are read by what comes later: an operator, a gate.
        split: the split of a hub id or a saved dictionary; in a folder, the files with that word in
            their names; else the rows with that value in the column `split`. `train+dev` for both.
        limit: read at most this many rows, from the front.
        bad_rows: what to do where a row has nothing to learn from or cannot be read: `refuse` all, or
            `drop` these rows and count them.
        encoding: of text files; None: by their byte order mark, else UTF-8.

    Returns:
        The kind's columns (`rows.kinds`), the other columns as they were, and `id`: the column `id` of
        the data, else the file's name and the row's line there (`train.jsonl:17`; rows are counted from
        1 where a file has no lines). `rows.facts.facts_of` tells what was left out.

    Raises:
        ConfigError: path, columns, ignore, keep, split or limit name something that is not there.
        RowError: the columns are of no kind, one that carries meaning would be read by nothing, or rows
            have nothing to learn from.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit must be at least 1, got {limit}. Leave it out to load every row.")
    path = str(path)
    with quiet():
        parts = read(path, split, limit=limit, encoding=encoding)
    parts = _first(parts, limit)
    if not any(len(part) or part.broken for part in parts):
        raise RowError(f"{path}: data must have at least one row, got none. Check the file and `split`.")
    parts = [without_ignored(renamed(part, columns, path), ignore, path) for part in parts]
    must_have(parts, keep, path)
    made = _all_normal(parts, path, keep)
    kept, notes = _without_bad(made, path, bad_rows)
    table, more = _joined(kept, path)
    facts = Facts(
        notes=[*notes, *more],
        classes=_classes(kept),
        unread=sorted({name for one in kept for name in one.unread}),
        turned=any(one.turned for one in kept),
    )
    return with_facts(rows_of(table), facts)


def _first(parts: Sequence[Part], limit: int | None) -> list[Part]:
    """The first `limit` rows over all parts."""
    if limit is None:
        return list(parts)
    found = []
    for part in parts:
        size = min(len(part), limit)
        limit -= size
        found.append(part if size == len(part) else part.take(range(size)))
        if limit == 0:
            break
    return found


def _all_normal(parts: Sequence[Part], path: str, keep: Sequence[str]) -> list[Normal]:
    made = [_normal(part, path, keep) for part in parts if len(part) or part.broken]
    if any(one.turned for one in made) and not all(one.turned for one in made):
        made = [_normal(part, path, keep, as_turns=True) for part in parts if len(part) or part.broken]
    kinds = {one.kind: one.part for one in made if len(one.part)}
    if len(kinds) > 1:
        listed = "; ".join(f"{kind} in {part.origins[0]}" for kind, part in kinds.items())
        raise RowError(f"{path}: all files must hold one kind of rows, got {listed}. Load them one by one.")
    return made


def _normal(part: Part, path: str, keep: Sequence[str], *, as_turns: bool = False) -> Normal:
    if not len(part):
        return Normal(part, None)  # nothing but broken lines
    where = f"{path} ({part.origins[0]})"
    pairs, wrong = paired(part, where)
    made = normalised(pairs, where, as_turns=as_turns, keep=keep)
    return Normal(made.part, made.kind, {**made.bad, **wrong}, made.unread, made.turned)


def _without_bad(made: Sequence[Normal], path: str, bad_rows: BadRows) -> tuple[list[Normal], list[str]]:
    """The rows with something to learn from, and a sentence on the others."""
    broken = [Problem(where, why) for one in made for where, why in one.part.broken.items()]
    problems = broken + [
        Problem(f"{path}, row {_name(one.part, place)}", one.bad[place])
        for one in made
        for place in sorted(one.bad)
    ]
    if bad_rows == "refuse":
        has_good = any(len(one.part) > len(one.bad) for one in made)
        advice = "Set bad_rows: drop in the load step to leave such rows out." if has_good else ""
        refuse_rows(problems, advice)
    if not problems:
        return list(made), []
    kept = []
    for one in made:
        good = np.setdiff1d(
            np.arange(len(one.part)), np.fromiter(one.bad, dtype=np.int64, count=len(one.bad))
        )
        if len(good):
            kept.append(Normal(one.part.take(good), one.kind, {}, one.unread, one.turned))
    total = len(problems) + sum(len(one.part) for one in kept)
    if not kept:
        refuse_rows(problems, f"None of the {total:,} rows of {path} can be used.")
    causes = Counter(re.split(r", got |; ", problem.message)[0] for problem in problems)
    why = "; ".join(f"{count:,}: {cause}" for cause, count in causes.most_common())
    return kept, [f"{len(problems):,} of {total:,} rows were left out (bad_rows: drop). {why.rstrip('.')}."]


def _name(part: Part, place: int) -> str:
    given = part.columns["id"].values[place].as_py() if "id" in part.columns else None
    return str(part.origins[place].as_py() if given is None or given == "" else given)


def _classes(made: Sequence[Normal]) -> tuple[str, ...]:
    """The order that the data itself gives its classes; none where files say different ones."""
    found = {one.part.classes.get("label", ()) for one in made}
    return found.pop() if len(found) == 1 else ()


def _joined(made: Sequence[Normal], path: str) -> tuple[pa.Table, list[str]]:
    ids, notes = _ids([one.part for one in made])
    tables = []
    for one in made:
        columns = {name: column.values for name, column in one.part.columns.items() if name != "id"}
        tables.append(pa.table(columns))
    try:
        table = pa.concat_tables(_alike(tables), promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        why = str(error).strip().splitlines()[0]
        raise RowError(
            f"{path}: all files must have the same columns and types, got: {why} Load them one by one."
        ) from error
    return table.append_column("id", ids), notes


def _alike(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Tables whose columns can be joined: those that nothing reads become text where their types differ."""
    kinds: dict[str, set[str]] = {}
    for table in tables:
        for field in table.schema:
            kinds.setdefault(field.name, set()).add(str(field.type))
    differing = {
        name for name, found in kinds.items() if len(found) > 1 and not any("struct" in one for one in found)
    }
    alike = []
    for table in tables:
        for place, name in enumerate(table.column_names):
            if name in differing and not pa.types.is_nested(table.schema.field(name).type):
                table = table.set_column(place, name, Column(table[name]).texts().values)
        alike.append(table)
    return alike


def _ids(parts: Sequence[Part]) -> tuple[pa.ChunkedArray, list[str]]:
    """A text for each row that belongs to it alone, and a sentence where the data's ids did not."""
    origins = pa.chunked_array([chunk for part in parts for chunk in part.origins.chunks], pa.string())
    given = [
        part.columns["id"].texts().values
        if "id" in part.columns
        else pa.chunked_array([pa.nulls(len(part), pa.string())])
        for part in parts
    ]
    named = pa.chunked_array([chunk for one in given for chunk in one.chunks], pa.string())
    ids = pc.if_else(pc.fill_null(pc.equal(named, ""), True), origins, named)
    counts = ids.value_counts()
    shared = pc.filter(counts.field("values"), pc.greater(counts.field("counts"), 1))
    if not len(shared):
        return ids, []
    is_shared = pc.is_in(ids, shared)
    ids = pc.if_else(is_shared, pc.binary_join_element_wise(ids, origins, "@"), ids)
    count = pc.sum(is_shared).as_py()
    return ids, [
        f"{count:,} rows share their id with another row; they are named by file and line, too "
        f"({ids.filter(is_shared)[0]})."
    ]
