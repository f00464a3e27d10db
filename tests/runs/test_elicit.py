"""Rows that an operator makes by asking an endpoint: gates, failures, budgets, plans, what is paid for."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from datasets import load_from_disk

import limbeck
from limbeck.core.asking import Paused
from limbeck.core.catalogue import _entries, catalogue
from limbeck.core.errors import ConfigError, RowError
from limbeck.recipes import Recipe
from limbeck.runs.assembly.failed_draws import TooManyFailures
from limbeck.runs.checking.plan import make_plan
from limbeck.runs.record.progress import Silent
from tests.endpoint.fault_server import CONTENT_FILTER, HANG, Call
from tests.runs.served import serving
from tests.runs.world import write_rows

ROWS = [{"prompt": f"question {n}", "completion": f"reference {n}"} for n in range(10)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", ROWS)
    return tmp_path


def recipe(data: Path, url: str, /, *, teacher: dict[str, Any] | None = None, **changes: Any) -> Recipe:
    elicit = {
        "out": "made",
        "teacher": {"endpoint": url, "model": "model", **(teacher or {})},
        "rows": "rows.train",
        "operator": {"name": "answer", "max_new_tokens": 8},
        **changes,
    }
    load = {"out": "rows", "path": str(data / "rows.jsonl"), "heldout": 0}
    steps = [{"load": load}, {"elicit": {name: one for name, one in elicit.items() if one is not None}}]
    return Recipe.from_data({"limbeck": 1, "name": "elicited", "steps": steps})


def run(made: Recipe, folder: Path) -> Path:
    """The folder of the step."""
    return limbeck.run(made, folder, progress=Silent()).folder / "steps" / "1-elicit-made"


def rows_in(folder: Path) -> list[dict[str, Any]]:
    return load_from_disk(str(folder)).to_list()


def by_length(call: Call) -> str:
    """Question 0 is answered by one letter, question 1 by two ..."""
    return "x" * (int(call.prompt.split()[-1]) + 1)


def test_rows_are_made_in_their_order_and_refused_ones_are_kept_apart_with_the_reason(data):
    with serving(says=by_length, seconds=0.01) as server:
        folder = run(recipe(data, server.url, gates=[{"name": "length", "max": 6}]), data / "run")
    kept, refused = rows_in(folder / "rows"), rows_in(folder / "rejected")
    assert [row["completion"] for row in kept] == ["x" * n for n in range(1, 7)]
    assert [row["prompt"] for row in refused] == [f"question {n}" for n in range(6, 10)]
    assert json.loads(refused[0]["verdicts"])[0]["reason"] == "long"
    assert all(row["teacher"].startswith("model at 127.0.0.1") for row in kept)
    assert json.loads(kept[0]["asked"])["messages"] == [{"role": "user", "content": "question 0"}]
    assert len(server.calls) == 10
    said = json.loads((folder / "yield.json").read_text())
    assert said["candidates"] == 10 and said["accepted"] == 6 and said["calls"] == 10
    assert said["gates"] == [{"gate": "length", "judged": 10, "rejected": 4, "reasons": {"long": 4}}]


def test_a_second_run_and_more_samples_ask_only_for_what_is_new(data):
    with serving() as server:
        first = run(recipe(data, server.url, samples=2), data / "one")
        again = run(recipe(data, server.url, samples=2), data / "two")
        assert len(server.calls) == 20
        run(recipe(data, server.url, samples=3), data / "three")
        assert len(server.calls) == 30
    assert rows_in(first / "rows") == rows_in(again / "rows")
    said = json.loads((again / "yield.json").read_text())
    assert (said["calls"], said["cached"]) == (20, 20)
    assert [path.parent.name for path in data.glob("requests/*.sqlite")] == ["requests"]


def test_exactly_so_many_rows_are_accepted_and_few_more_are_asked_for(data):
    with serving(says=by_length) as server:
        folder = run(recipe(data, server.url, accept=4, gates=[{"name": "length", "min": 3}]), data / "run")
        assert [len(row["completion"]) for row in rows_in(folder / "rows")] == [3, 4, 5, 6]
        assert len(server.calls) <= 10
        fewer = recipe(data, server.url, accept=9, gates=[{"name": "length", "min": 3}])
        with pytest.raises(ConfigError, match="must be reached, 9 rows, got 8 of 10 candidates"):
            run(fewer, data / "fewer")


def test_with_candidates_rows_are_gone_through_again_until_there_are_enough(data):
    def says(call: Call) -> str:
        return f"draw {call.number}"

    with serving(says=says) as server:
        made = recipe(data, server.url, accept=25, candidates=40, teacher={"workers": 1})
        folder = run(made, data / "run")
    kept = rows_in(folder / "rows")
    assert len(kept) == 25 and len({row["id"] for row in kept}) == 25
    assert [row["sample"] for row in kept] == [0] * 10 + [1] * 10 + [2] * 5


def test_a_row_is_drawn_again_until_a_gate_lets_it_through(data):
    seen: dict[str, int] = {}

    def says(call: Call) -> str:
        seen[call.prompt] = seen.get(call.prompt, 0) + 1
        return "long enough" if seen[call.prompt] > int(call.prompt.split()[-1]) else "short"

    with serving(says=says) as server:
        made = recipe(data, server.url, attempts=5, gates=[{"name": "length", "min": 6}])
        folder = run(made, data / "run")
    # Question n needs n + 1 draws: 1 to 5 for the first five, and 5 in vain for the others.
    assert [row["prompt"] for row in rows_in(folder / "rows")] == [f"question {n}" for n in range(5)]
    assert len(server.calls) == 1 + 2 + 3 + 4 + 5 * 6
    assert [row["sample"] for row in rows_in(folder / "rows")] == [0, 1, 2, 3, 4]


def test_rows_without_an_answer_are_left_out_listed_and_counted(data):
    def script(call: Call) -> Any:
        return CONTENT_FILTER if call.prompt == "question 3" else None

    with serving(script) as server:
        folder = run(recipe(data, server.url), data / "run")
        assert [row["prompt"] for row in rows_in(folder / "rows")] == [
            f"question {n}" for n in range(10) if n != 3
        ]
        (line,) = (folder / "failures.jsonl").read_text().splitlines()
        assert json.loads(line)["reason"] == "content_filter" and json.loads(line)["key"]
        with pytest.raises(TooManyFailures, match="at most 0%, got 1 of"):
            run(recipe(data, server.url, failures="stop"), data / "stopped")
        assert len(server.calls) == 10  # nothing is asked again


def test_a_call_that_hangs_is_made_again_when_the_teachers_timeout_is_over(data):
    hung: list[Call] = []

    def script(call: Call) -> Any:
        if call.prompt != "question 3" or hung:
            return None
        hung.append(call)
        return HANG

    with serving(script) as server:
        folder = run(recipe(data, server.url, teacher={"timeout": 0.3}), data / "run")
    assert len(rows_in(folder / "rows")) == 10 and len(server.calls) == 11


def test_a_spent_budget_pauses_the_run_and_a_higher_one_goes_on(data):
    def budget(calls: int) -> Recipe:
        return recipe(data, server.url, teacher={"workers": 1, "budget": {"calls": calls}})

    with serving() as server:
        with pytest.raises(Paused) as paused:
            run(budget(4), data / "run")
        assert paused.value.exit_code == 75
        waits = json.loads((data / "run" / "paused.json").read_text())
        assert (waits["state"], waits["why"], waits["step"]) == ("paused", "budget", "1-elicit-made")
        folder = run(budget(10), data / "run")
        assert len(server.calls) == 10
    assert len(rows_in(folder / "rows")) == 10 and not (data / "run" / "paused.json").exists()


PRICES = """
- {model: model, input: 2, output: 10, batch: 0.5, currency: EUR}
"""


def test_the_plan_says_what_it_costs_and_asks_nobody(data):
    (data / "prices.yaml").write_text(PRICES, encoding="utf-8")
    teacher = {"prices": str(data / "prices.yaml"), "budget": {"calls": 5}}
    with serving() as server:
        plan, _ = make_plan(recipe(data, server.url, teacher=teacher, samples=3), data / "run")
        assert not server.calls
        said = " ".join(plan.steps[1].notes)
        # A question is 10 bytes: 4 tokens at 3 bytes each, and 8 for its turn; 30 calls of 8 tokens at most.
        assert "About 30 calls to model: 360 tokens read, at most 240 written." in said
        # 360 x 2 + 240 x 10 = 3,120 millionths
        assert "At most 0.00312 EUR; by the batch API 0.00156." in said
        assert "budget.calls is 5, below what the step may need (30)" in said
        run(recipe(data, server.url, samples=3), data / "run")
        later, _ = make_plan(recipe(data, server.url, samples=3), data / "again")
        said = " ".join(later.steps[1].notes)
    assert "What they cost is not known: no price of model is given" in said
    assert "Of the first 30 requests 100% are answered already" in said


def test_costs_are_those_of_the_table_and_stand_in_rows_and_yield(data):
    (data / "prices.yaml").write_text(PRICES, encoding="utf-8")
    with serving(says=lambda call: "a b") as server:
        folder = run(recipe(data, server.url, teacher={"prices": str(data / "prices.yaml")}), data / "run")
    rows, said = rows_in(folder / "rows"), json.loads((folder / "yield.json").read_text())
    expected = sum(2 * row["tokens_in"] + 10 * row["tokens_out"] for row in rows) / 1_000_000
    assert float(said["cost"]) == pytest.approx(expected) and said["currency"] == "EUR"
    assert sum(float(row["cost"]) for row in rows) == pytest.approx(expected)
    assert float(said["cost_per_accepted"]) == pytest.approx(expected / 10, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "where", "message"),
    [
        ({"operator": "answr"}, "steps.1.elicit.operator", "Did you mean 'answer'"),
        ({"gates": ["lenght"]}, "steps.1.elicit.gates.0", "Did you mean 'length'"),
        ({"attempts": 3}, "steps.1.elicit.attempts", "must go with gates"),
        ({"candidates": 5}, "steps.1.elicit.candidates", "must go with accept"),
        ({"rows": None}, "steps.1.elicit.rows", "must name rows, or how many to make from nothing"),
        ({"teachers": {"critic": "DIR"}}, "steps.1.elicit.teachers.critic", "is asked by nobody"),
        ({"teacher": {"budget": {"cals": 3}}}, "steps.1.elicit.teacher.budget.cals", "Did you mean 'calls'"),
        ({"teacher": {"endpoint": "localhost"}}, "steps.1.elicit.teacher", "must be a URL"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(data, changes, where, message):
    with pytest.raises(ConfigError) as told:
        limbeck.run(recipe(data, "http://127.0.0.1:1/v1", **changes), data / "run")
    assert any(one.where == where and message in one.message for one in told.value.problems), told.value


def test_a_key_that_is_not_set_and_prices_that_are_not_there_are_told_by_the_plan(data, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    teacher = {"api_key_env": "NO_SUCH_KEY", "prices": str(data / "none.yaml")}
    with pytest.raises(ConfigError) as told:
        make_plan(recipe(data, "http://127.0.0.1:1/v1", teacher=teacher), data / "run")
    assert [one.where for one in told.value.problems] == [
        "steps.1.elicit.teacher.api_key_env",
        "steps.1.elicit.teacher.prices",
    ]


def test_a_prompt_that_asks_for_a_column_that_is_not_there_is_told_by_the_plan(data):
    (data / "mine.yaml").write_text("about: x\nteacher: {user: 'Say {{ topic }}'}\n", encoding="utf-8")
    operator = {"name": "answer", "prompt": str(data / "mine.yaml")}
    with pytest.raises(ConfigError, match="topic"):
        make_plan(recipe(data, "http://127.0.0.1:1/v1", operator=operator), data / "run")


def test_a_run_in_which_no_row_passes_keeps_the_refused_ones_to_look_at(data):
    with serving() as server, pytest.raises(RowError, match=r"must be at least 1, got 0 of 10 candidates"):
        run(recipe(data, server.url, gates=[{"name": "length", "min": 1000}]), data / "run")
    assert len(rows_in(data / "run" / "steps" / "1-elicit-made" / "rejected")) == 10


def test_settings_that_change_no_answer_leave_a_finished_step_finished(data):
    with serving() as server:
        run(recipe(data, server.url), data / "run")
        run(recipe(data, server.url, failures="skip", teacher={"workers": 3}), data / "run")
        assert len(server.calls) == 10


@pytest.fixture
def own_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of tests.runs.asked_by_several, as if they were listed."""
    for entry in _entries("tests.runs.asked_by_several"):
        monkeypatch.setitem(catalogue("operators"), entry.name, entry)


@pytest.mark.usefixtures("own_operators")
def test_an_operator_asks_further_teachers_by_its_names_for_them(data):
    with serving(says=lambda call: f"{call.body['model']}({call.prompt})") as server:
        critic = {"endpoint": server.url, "model": "other"}
        made = recipe(data, server.url, operator="debate", teachers={"critic": critic})
        plan, _ = make_plan(made, data / "run")
        assert "About 10 calls to model" in " ".join(plan.steps[1].notes)
        assert "About 10 calls to other" in " ".join(plan.steps[1].notes)
        rows = rows_in(run(made, data / "run") / "rows")
    assert rows[0]["completion"] == "other(question 0 model(question 0))"
    assert len(list(data.glob("requests/*.sqlite"))) == 2
    one = {"journal": str(data / "one.sqlite")}
    shared = recipe(data, "http://x", operator="debate", teacher=one, teachers={"critic": {**critic, **one}})
    with pytest.raises(ConfigError, match=r"critic\.journal: must be a file of its own for each teacher"):
        run(shared, data / "shared")
    with pytest.raises(ConfigError, match=r"elicit\.teachers\.critic: must be a teacher, got none"):
        run(recipe(data, "http://127.0.0.1:1/v1", operator="debate"), data / "none")


def test_gates_ask_the_teacher_named_judge_and_the_rows_say_who_wrote_them(data):
    def says(call: Call) -> str:
        if call.body["model"] == "model":
            return f"answer to {call.prompt}"
        return "Fine. [[8]]" if "answer to question 4" in call.prompt else "Poor. [[2]]"

    with serving(says=says) as server:
        judge = {"endpoint": server.url, "model": "critic"}
        gates = [{"name": "judge", "minimum": 5}]
        made = recipe(data, server.url, gates=gates, teachers={"judge": judge})
        plan, _ = make_plan(made, data / "run")
        assert "calls to critic" in " ".join(plan.steps[1].notes)
        folder = run(made, data / "run")
        asked = [call.body["model"] for call in server.calls]
    assert (asked.count("model"), asked.count("critic")) == (10, 10)
    (row,) = rows_in(folder / "rows")
    assert row["prompt"] == "question 4" and row["teacher"].startswith("model at")
    assert json.loads(row["verdicts"])[0]["score"] == 8
    said = json.loads((folder / "yield.json").read_text())
    assert said["gates"] == [{"gate": "judge", "judged": 10, "rejected": 9, "reasons": {"low": 9}}]
    assert said["calls"] == 20


@pytest.mark.usefixtures("own_operators")
def test_an_operator_of_pools_is_called_once_with_all_rows(data):
    with serving(says=lambda call: f"said {call.number}") as server:
        operator = {"name": "gathered", "rounds": 3}
        folder = run(recipe(data, server.url, operator=operator, limit=2), data / "run")
        assert [row["completion"] for row in rows_in(folder / "rows")] == ["said 0", "said 1", "said 2"]
        from_nothing = recipe(data, server.url, operator=operator, rows=None, accept=2)
        assert len(rows_in(run(from_nothing, data / "nothing") / "rows")) == 2
        assert server.calls[-1].prompt == " 2"[1:]


@pytest.mark.usefixtures("own_operators")
def test_an_operator_that_cannot_read_the_rows_is_told_by_the_plan_with_the_row(data):
    with pytest.raises(ConfigError, match=r"operator: must work with row rows.jsonl:1, got KeyError"):
        make_plan(recipe(data, "http://127.0.0.1:1/v1", operator="broken"), data / "run")


def test_rows_are_made_from_nothing_as_often_as_is_said(data):
    operator = {"name": "magpie", "begin": "<user>", "samples": 1}
    with serving(says=lambda call: f"text {call.number}") as server:
        made = recipe(data, server.url, operator=operator, rows=None, limit=3)
        assert make_plan(made, data / "run")[0].steps[1].rows == 3
        rows = rows_in(run(made, data / "run") / "rows")
    assert len({row["id"] for row in rows}) == len(rows) == 3
    with pytest.raises(ConfigError, match=r"steps\.1\.elicit\.operator\.tokenizer: must be given, or begin"):
        make_plan(recipe(data, "http://127.0.0.1:1/v1", operator="magpie", rows=None, limit=3), data / "none")


def test_refused_rows_are_read_by_a_later_step(data):
    with serving(says=by_length) as server:
        made = recipe(data, server.url, gates=[{"name": "length", "max": 6}])
        gate = {"out": "short", "rows": "made.rejected", "gates": [{"name": "length", "max": 8}]}
        steps = [*made.to_data()["steps"], {"gate": gate}]
        both = Recipe.from_data({**made.to_data(), "steps": steps})
        folder = limbeck.run(both, data / "run", progress=Silent()).folder / "steps" / "2-gate-short"
    assert [row["completion"] for row in rows_in(folder / "rows")] == ["x" * 7, "x" * 8]


def test_a_wrong_key_pauses_at_once_and_the_right_one_goes_on_without_the_key_being_shown(data, monkeypatch):
    with serving(key="right-key") as server:
        made = recipe(data, server.url, teacher={"api_key_env": "TEST_KEY", "workers": 2})
        monkeypatch.setenv("TEST_KEY", "wrong-key")
        with pytest.raises(Paused) as paused:
            run(made, data / "run")
        assert paused.value.why == "quota" and "wrong-key" not in str(paused.value)
        assert "wrong-key" not in (data / "run" / "paused.json").read_text()
        assert len(server.calls) <= 4
        monkeypatch.setenv("TEST_KEY", "right-key")
        assert len(rows_in(run(made, data / "run") / "rows")) == 10


def test_a_run_is_started_inside_of_a_loop_that_runs_as_in_a_notebook(data):
    async def cell() -> list[dict[str, Any]]:
        return rows_in(run(recipe(data, server.url), data / "run") / "rows")

    with serving() as server:
        assert len(asyncio.run(cell())) == 10


def test_a_run_that_makes_rows_alone_has_a_report_and_says_its_yield(data, real_report):
    with serving(says=by_length) as server:
        made = recipe(data, server.url, gates=[{"name": "length", "max": 6}])
        done = limbeck.run(made, data / "run", progress=Silent())
    assert done.yields["made"]["accepted"] == 6
    assert "6 of 10 candidates" in done.report.read_text(encoding="utf-8")
    assert not (done.folder / "README.md").exists()


def test_answers_that_were_no_clean_json_or_did_not_fit_at_first_are_counted_in_the_notes(data):
    schema = {"type": "object", "properties": {"answer": {"type": "string"}}, "required": ["answer"]}
    prompt = {
        "about": "An object.",
        "parser": {"name": "json_object", "fields": ["answer"]},
        "json_schema": schema,
        "teacher": {"user": "{{ task }}"},
    }
    (data / "object.yaml").write_text(json.dumps(prompt))

    def says(call: Call) -> str:
        text = json.dumps(call.body["messages"])
        if "question 3" in text and "does not fit" not in text:
            return '{"other": 1}'  # asked for again, with the error
        fenced = "question 5" in text or "question 7" in text
        return '```json\n{"answer": "x",}\n```' if fenced else '{"answer": "x"}'

    operator = {"name": "answer", "prompt": str(data / "object.yaml"), "max_new_tokens": 30}
    with serving(says=says) as server:
        folder = run(recipe(data, server.url, operator=operator), data / "run")
    notes = json.loads((folder / "done.json").read_text())["notes"]
    assert "2 answers were JSON only as read leniently (fences, commas, quotes)." in notes
    assert "1 answers did not fit their schema and were asked for again." in notes
    assert len(rows_in(folder / "rows")) == 10
