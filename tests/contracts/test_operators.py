"""What all operators hold to, whatever they make: found by their names in `limbeck.operators`."""

import asyncio
import copy
import json
from typing import Any

import pyarrow as pa
import pytest

from limbeck.core.asking import Failure, FailureClass, RequestFailed
from limbeck.core.catalogue import catalogue
from limbeck.core.lineage import FIELDS, as_sent, is_rejected
from limbeck.core.prompting import prompt_problems
from tests.operators.cases import CASES, Case, operator
from tests.operators.scripted import Killed, Scripted, read_by, student_part

NAMES = sorted(catalogue("operators"))


def run(name: str, teacher: Any, case: Case | None = None) -> list[dict[str, Any]]:
    case = case or CASES[name]
    given = list(case.rows) or case.row
    return asyncio.run(operator(name)(given, teacher, **case.options))


def test_every_operator_is_tried() -> None:
    assert set(NAMES) == set(CASES)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_replies_make_the_same_rows_and_nothing_is_asked_again(name) -> None:
    teacher = Scripted(CASES[name].answers)
    rows = run(name, teacher)
    again = Scripted(CASES[name].answers, kept=teacher.kept)
    assert run(name, again) == rows and rows
    assert not again.asked and bool(teacher.asked) == CASES[name].asks


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_operator_makes_the_same_rows_and_asks_nothing_twice(name) -> None:
    whole = Scripted(CASES[name].answers)
    rows = run(name, whole)
    for calls in range(len(whole.asked)):
        killed = Scripted(CASES[name].answers, dies_after=calls)
        with pytest.raises(Killed):
            run(name, killed)
        after = Scripted(CASES[name].answers, kept=killed.kept)
        assert run(name, after) == rows
        assert len(killed.asked) + len(after.asked) == len(whole.asked)


@pytest.mark.parametrize("name", NAMES)
def test_the_order_in_which_answers_come_changes_nothing(name) -> None:
    rows = run(name, Scripted(CASES[name].answers))
    assert run(name, Scripted(CASES[name].answers, late=True)) == rows


@pytest.mark.parametrize("name", NAMES)
def test_rows_have_their_lineage_and_ids_of_their_own(name) -> None:
    rows = run(name, Scripted(CASES[name].answers))
    for row in rows:
        assert row.keys() >= FIELDS.keys() - {"teacher", "terms", "verdicts", "reference"}
    lineage = [{key: value for key, value in row.items() if key in FIELDS} for row in rows]
    pa.Table.from_pylist(lineage, schema=pa.schema(FIELDS.items()))
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["operator"] == name for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_asked_is_the_teachers_prompt_as_it_was_sent(name) -> None:
    teacher = Scripted(CASES[name].answers)
    rows = run(name, teacher)
    sent = {as_sent(request) for request in teacher.asked}
    for row in rows:
        assert set(row["requests"]) <= teacher.kept.keys()
        assert row["asked"] is None or row["asked"] in sent


@pytest.mark.parametrize("name", NAMES)
def test_the_given_rows_are_not_changed(name) -> None:
    case = CASES[name]
    before = copy.deepcopy((case.row, case.rows))
    run(name, Scripted(case.answers))
    assert (case.row, case.rows) == before


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].secret])
def test_the_student_does_not_read_what_only_the_teacher_may(name) -> None:
    secret = CASES[name].secret
    teacher = Scripted(CASES[name].answers)
    rows = [row for row in run(name, teacher) if not is_rejected(row)]
    assert any(secret in read_by(request) for request in teacher.asked)
    learnt = [{**student_part(row), "reference": None} for row in rows]
    assert rows and all(secret not in json.dumps(row) for row in learnt)


@pytest.mark.parametrize("name", [name for name in NAMES if CASES[name].asks])
def test_nothing_is_learnt_from_empty_answers_nor_from_failures(name) -> None:
    failure = RequestFailed(Failure(FailureClass.PERMANENT, "filtered", "no", key="k"))
    for answers in (lambda request: "", lambda request: failure):
        try:
            rows = run(name, Scripted(answers))
        except RequestFailed as error:
            assert error is failure
        else:
            assert all(is_rejected(row) for row in rows)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_explained_and_has_its_source(name) -> None:
    entry = catalogue("operators")[name]
    assert set(entry.keywords) <= set(entry.meanings), set(entry.keywords) - set(entry.meanings)
    assert "Source:" in entry.doc and "Returns:" in entry.doc
    assert entry.doc.split("\n")[0].endswith(".")


@pytest.mark.parametrize("name", NAMES)
def test_shipped_prompts_ask_for_nothing_that_is_not_there(name) -> None:
    case = CASES[name]
    columns = (case.rows[0] if case.rows else case.row).keys()
    assert prompt_problems(operator(name), case.options, columns) == []
