"""Columns of made rows, written out by hand."""

import json
from decimal import Decimal

import pyarrow as pa

from limbeck.core.asking import Reply, Request, Usage
from limbeck.core.lineage import FIELDS, is_rejected, rejected, with_lineage

QUESTION = {"role": "user", "content": "Größe?"}


def reply(key: str, cost: str | None, *, finish="stop", reasoning=None) -> Reply:
    return Reply(
        "yes",
        finish=finish,
        reasoning=reasoning,
        usage=Usage(prompt=3, completion=2),
        key=key,
        cost=None if cost is None else Decimal(cost),
    )


def made(*replies: Reply, **more) -> dict:
    asked = [(Request(messages=(QUESTION,)), one) for one in replies]
    return with_lineage({"prompt": "p"}, row_id="a~1", parents=["a"], operator="answer", asked=asked, **more)


def test_says_where_a_row_comes_from_and_what_was_asked() -> None:
    assert made(reply("k1", "0.1"), reply("k2", "0.02", finish="length", reasoning="hm"), sample=1) == {
        "prompt": "p",
        "id": "a~1",
        "parents": ["a"],
        "operator": "answer",
        "sample": 1,
        "asked": '{"messages": [{"role": "user", "content": "Größe?"}]}',
        "requests": ["k1", "k2"],
        "reasoning": "hm",
        "finished": False,
        "tokens_in": 6,
        "tokens_out": 4,
        "cost": "0.12",
    }


def test_a_cost_of_which_a_part_is_unknown_is_unknown() -> None:
    assert made(reply("k1", "0.1"), reply("k2", None))["cost"] is None


def test_keeps_text_and_ids_as_they_were_sent() -> None:
    for request, sent in (
        (Request(text="Once"), {"text": "Once"}),
        (Request(token_ids=(1, 2)), {"token_ids": [1, 2]}),
    ):
        row = with_lineage({}, row_id="a", parents=[], operator="o", asked=[(request, reply("k", "0"))])
        assert json.loads(row["asked"]) == sent


def test_a_row_that_nobody_was_asked_for_has_the_same_columns() -> None:
    row = with_lineage({"text": "t"}, row_id="a", parents=["b"], operator="verbalise", asked=[])
    assert (row["asked"], row["requests"], row["finished"], row["cost"]) == (None, [], True, "0")


def test_every_column_has_its_arrow_type() -> None:
    row = made(reply("k1", "0.1"))
    lineage = {name: row[name] for name in row if name != "prompt"}
    added = {"teacher", "terms", "verdicts", "reference"}
    assert lineage.keys() == FIELDS.keys() - added
    table = pa.Table.from_pylist([lineage], schema=pa.schema(FIELDS.items()))
    assert table.to_pylist()[0] == {**lineage, **dict.fromkeys(added)}


def test_a_rejected_row_keeps_its_reason() -> None:
    row = rejected({"prompt": "p"}, "rationalise", "no_cue", "the cue is missing", reply="Hm.")
    assert json.loads(row["verdicts"]) == [
        {
            "gate": "rationalise",
            "score": None,
            "passed": False,
            "reason": "no_cue",
            "detail": "the cue is missing",
            "reply": "Hm.",
        }
    ]
    assert is_rejected(row) and not is_rejected({"prompt": "p"})
    assert not is_rejected({"verdicts": '[{"gate": "length", "passed": true}]'})
