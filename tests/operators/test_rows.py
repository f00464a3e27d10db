"""Rows that operators make are rows like any other: of a known kind, and read again from a file."""

import asyncio

import pytest
from datasets import load_from_disk

from limbeck.core.asking import Reply, Request
from limbeck.core.lineage import is_rejected
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.load import load_rows
from limbeck.runs.assembly.eliciting.kept_rows import KeptRows
from tests.operators.cases import CASES, Case, operator
from tests.operators.scripted import Scripted

KINDS = {
    "conversation": Kind.MESSAGES,
    "extract_entities": Kind.MESSAGES,
    "judge_pair": Kind.PREFERENCE,
    "magpie": Kind.MESSAGES,
    "preferences": Kind.PREFERENCE,
    "tool_calls": Kind.MESSAGES,
    "verbalise": Kind.PROMPT,
}


@pytest.mark.parametrize("name", CASES)
def test_are_kept_and_read_again(name, tmp_path) -> None:
    case: Case = CASES[name]

    def thinking(request: Request) -> Reply:
        said = case.answers(request)
        reply = said if isinstance(said, Reply) else Reply(str(said))
        return Reply(reply.text, finish=reply.finish, tool_calls=reply.tool_calls, reasoning="thoughts")

    made = asyncio.run(operator(name)(list(case.rows) or case.row, Scripted(thinking), **case.options))
    kept = KeptRows(tmp_path / "parts")
    for row in made:
        if not is_rejected(row):
            kept.add(row)
    kept.finish(tmp_path / "rows")
    rows = load_from_disk(str(tmp_path / "rows"))
    assert kind_of(rows.column_names) is KINDS.get(name, Kind.COMPLETION)
    rows.to_parquet(tmp_path / "rows.parquet")
    assert load_rows(str(tmp_path / "rows.parquet"))["id"] == rows["id"]
