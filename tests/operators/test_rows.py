"""Rows that operators make are rows like any other: of a known kind, and read again from a file."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Dataset, load_from_disk

from limbeck import operators
from limbeck.core.asking import Reply, Request
from limbeck.core.errors import ConfigError, RowError
from limbeck.core.lineage import is_rejected
from limbeck.rows.kinds import Kind, kind_of
from limbeck.rows.load import load_rows
from limbeck.runs.assembly.eliciting.kept_rows import KeptRows
from tests.operators.cases import CASES, Case, operator
from tests.operators.scripted import Scripted
from tests.rows.templates import QWEN25, rendered

KINDS = {
    "conversation": Kind.MESSAGES,
    "extract_entities": Kind.MESSAGES,
    "judge_pair": Kind.PREFERENCE,
    "judging": Kind.MESSAGES,
    "magpie": Kind.MESSAGES,
    "preferences": Kind.PREFERENCE,
    "questions": Kind.PROMPT,
    "retrieve": Kind.QUESTION,
    "tool_calls": Kind.MESSAGES,
    "verbalise": Kind.PROMPT,
}


def kept_rows(name: str, folder: Path, reasoning: str | None = None) -> Dataset:
    """What a step would keep of a case's rows."""
    case: Case = CASES[name]

    def said(request: Request) -> Reply:
        answer = case.answers(request)
        reply = answer if isinstance(answer, Reply) else Reply(str(answer))
        return replace(reply, reasoning=reasoning)

    made = asyncio.run(operator(name)(list(case.rows) or case.row, Scripted(said), **case.options))
    kept = KeptRows(folder / "parts")
    for row in made:
        if not is_rejected(row):
            kept.add(row)
    kept.finish(folder / "rows")
    return load_from_disk(str(folder / "rows"))


@pytest.mark.parametrize("name", ["extract_entities", "tool_calls", "conversation"])
def test_what_the_teacher_wrote_is_learnt_and_nothing_else(name, tmp_path) -> None:
    for row in kept_rows(name, tmp_path):
        (text,) = rendered(QWEN25, *row["messages"], row={"tools": row.get("tools")})
        learnt = re.findall(r"⟦(.*?)⟧", text, flags=re.DOTALL)
        calls = '<tool_call>\n{"name": "add", "arguments": {"a": 2, "b": 3}}\n</tool_call>'
        answers = [turn for turn in row["messages"] if turn["role"] == "assistant"]
        assert learnt == [f"{turn['content'] or calls}<|im_end|>" for turn in answers]


@pytest.mark.parametrize("name", CASES)
def test_are_kept_and_read_again(name, tmp_path) -> None:
    rows = kept_rows(name, tmp_path, reasoning="thoughts")
    assert kind_of(rows.column_names) is KINDS.get(name, Kind.COMPLETION)
    rows.to_parquet(tmp_path / "rows.parquet")
    keep = ["documents"] if name in ("questions", "retrieve") else []
    assert load_rows(str(tmp_path / "rows.parquet"), keep=keep)["id"] == rows["id"]


def test_columns_that_an_operator_reads_are_kept_by_name(tmp_path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "prompt": "Who?", "documents": ["He."]}\n', encoding="utf-8")
    with pytest.raises(
        RowError, match=r"or keep it there for an operator or a gate with keep: \[documents\]"
    ):
        load_rows(str(path))
    (row,) = load_rows(str(path), keep=["documents"])
    teacher = Scripted(lambda request: "r\nAnswer: he")
    options = {"distractors": 0, "without": 0.0}
    (made,) = asyncio.run(operators.retrieve_answer([row], teacher, **options))
    assert made["prompt"] == "Document 1:\nHe.\n\nQuestion: Who?"
    with pytest.raises(ConfigError, match=r"keep: must name columns of .* got 'document'"):
        load_rows(str(path), keep=["document"])
