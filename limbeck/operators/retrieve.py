"""Documents of a corpus for the questions of rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
from pydantic import Field

from limbeck.core.asking import Ask
from limbeck.core.bm25 import Bm25
from limbeck.core.errors import ConfigError, Problem
from limbeck.core.lineage import ID, Row, with_lineage
from limbeck.core.prompting.own import listed, own_answer, own_text

NAME = "retrieve"
_LEAST_OF_ANSWER = 3  # letters: shorter answers stand in most texts


async def retrieve(
    rows: Sequence[Row],
    ask: Ask,
    *,
    corpus: str,
    column: str = "text",
    documents: str = "documents",
    helpful: str = "helpful",
    top: Annotated[int, Field(ge=1)] = 5,
    own: bool = True,
) -> list[dict[str, Any]]:
    """Every question gets the documents of a corpus that fit it best, by BM25, for `retrieve_answer`.

    No teacher is asked. Documents that a row has, and says to help, come first and are not lost where the
    search does not find them; those that were found beside are distractors, and hard ones.

    Args:
        corpus: a jsonl, parquet or csv file.
        column: of it, with the texts.
        documents: column of the rows with the documents they have, a list of texts; rows need not have it.
        helpful: column with the places of those that hold the answer; all of them, where the row has no
            such column.
        top: documents that are searched for.
        own: keep the documents of the row that help, and say which do; false: those that were found alone,
            as when a student is used, where nobody says which of them help.

    Returns:
        The rows with `documents`, `helpful` and `found`: whether the search found a document that helps.
        Where a row has no documents, those that were found with its answer in them are taken to help; none
        of them: the best one.

    Raises:
        ConfigError: the corpus cannot be read.

    Source:
        Robertson and Zaragoza 2009 (BM25); the answer within a text as a sign that it helps: Karpukhin et
        al. 2020 (DPR), arXiv:2004.04906. Distractors that a search finds: Luo et al. 2023 (SAIL),
        arXiv:2305.15225.
    """
    texts = list(dict.fromkeys(_read(corpus, column)))
    index = Bm25(texts)
    made = []
    for row in rows:
        given = listed(row, documents)
        places = listed(row, helpful) if row.get(helpful) is not None else range(len(given))
        known = [given[place] for place in places]
        found = [texts[place] for place in index.best(own_text(row), top)] or texts[:1]
        known = known or _with_answer(found, own_answer(row))
        shown = list(dict.fromkeys([*known, *found])) if own else found
        right = [place for place, text in enumerate(shown) if text in known] if own else None
        told = {documents: shown, helpful: right, "found": bool(set(known) & set(found))}
        made.append(
            with_lineage(
                {**row, **told}, row_id=str(row[ID]), parents=[str(row[ID])], operator=NAME, asked=[]
            )
        )
    return made


def _with_answer(found: Sequence[str], answer: str | None) -> list[str]:
    said = " ".join((answer or "").casefold().split())
    if len(said) < _LEAST_OF_ANSWER:
        return list(found[:1])
    return [text for text in found if said in " ".join(text.casefold().split())] or list(found[:1])


def _read(corpus: str, column: str) -> list[str]:
    from pyarrow import csv, json, parquet

    readers: dict[str, Any] = {
        ".jsonl": json.read_json,
        ".parquet": parquet.read_table,
        ".csv": csv.read_csv,
    }
    path = Path(corpus).expanduser()
    if not path.is_file() or path.suffix not in readers:
        said = f"must be a file that ends with {', '.join(readers)}, got {corpus}."
        raise ConfigError(Problem("corpus", said))
    try:
        table = readers[path.suffix](path)
    except pa.ArrowInvalid as error:
        raise ConfigError(Problem("corpus", f"must be readable, got {corpus}: {error}.")) from None
    if column not in table.column_names:
        raise ConfigError(
            Problem("column", f"must be a column of {corpus}, got {column}; it has {table.column_names}.")
        )
    texts = [str(text) for text in table[column].to_pylist() if text]
    if not texts:
        raise ConfigError(Problem("corpus", f"must have a text in {column}, got none in {corpus}."))
    return texts
