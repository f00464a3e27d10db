"""What a probe has found of an endpoint, in plans and runs: refused before anything is spent, or said."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from limbeck.core.errors import ConfigError
from limbeck.endpoint import Endpoint
from limbeck.endpoint.known import probed
from limbeck.runs.assembly.journals import journal_of
from limbeck.runs.checking.plan import make_plan
from tests.endpoint.fault_server import BAD_REQUEST, ONE_CHOICE, Call, Fault
from tests.runs.served import serving
from tests.runs.test_elicit import recipe, rows_in, run
from tests.runs.world import write_rows

SCHEMA = """
about: x
json_schema: {type: object, properties: {answer: {type: string}}, required: [answer]}
teacher: {user: "{{ prompt }}"}
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_rows(tmp_path / "rows.jsonl", [{"prompt": f"question {n}"} for n in range(3)])
    return tmp_path


def probe(url: str, data: Path) -> None:
    """As `limbeck probe` keeps it for runs in the folder."""
    endpoint = Endpoint(url=url, model="model")
    asyncio.run(probed(endpoint, journal=journal_of(endpoint, data / "run")))


def no_temperature(call: Call) -> Fault | None:
    if call.body.get("temperature", 1) == 1:
        return None
    return replace(BAD_REQUEST, message="Unsupported value: 'temperature' must be 1 for this model.")


def test_a_temperature_that_the_probe_was_refused_is_refused_by_the_plan_of_every_step_that_asks(data):
    with serving(no_temperature) as server:
        probe(server.url, data)
        asked = len(server.calls)
        made = recipe(data, server.url, operator={"name": "answer", "sampling_temperature": 0.7})
        written = made.to_data()
        written["steps"][1] = {
            "generate": {
                "out": "made",
                "teacher": {"endpoint": server.url, "model": "model"},
                "rows": "rows.train",
                "sampling_temperature": 0.7,
            }
        }
        for one in (made, type(made).from_data(written)):
            with pytest.raises(ConfigError) as refused:
                make_plan(one, data / "run")
            (problem,) = refused.value.problems
            assert problem.where.endswith("teacher")
            assert "the endpoint must give a temperature other than 1, got none" in problem.message
            assert "`limbeck probe` asks it anew" in problem.message
        assert len(server.calls) == asked
        fine = recipe(data, server.url, operator={"name": "answer", "sampling_temperature": 1.0})
        assert len(rows_in(run(fine, data / "run") / "rows")) == 3


def test_a_schema_that_the_server_does_not_hold_is_said_by_the_plan_and_asked_in_words(data):
    (data / "mine.yaml").write_text(SCHEMA, encoding="utf-8")
    made = {"name": "answer", "prompt": str(data / "mine.yaml")}

    def says(call: Call) -> str:
        return json.dumps({"answer": "yes"}) if "JSON schema" in call.prompt else "no"

    with serving(says=says) as server:
        plan, _ = make_plan(recipe(data, server.url, operator=made), data / "run")
        assert "holds no answer to a JSON schema" not in " ".join(plan.steps[1].notes)  # nobody knows
        probe(server.url, data)
        plan, _ = make_plan(recipe(data, server.url, operator=made), data / "run")
        assert "holds no answer to a JSON schema" in " ".join(plan.steps[1].notes)
        rows = rows_in(run(recipe(data, server.url, operator=made), data / "run") / "rows")
    assert [row["completion"] for row in rows] == ["yes"] * 3


@pytest.mark.parametrize(("fault", "calls"), [(None, 3), (ONE_CHOICE, 9)])
def test_samples_share_a_call_only_where_the_probe_saw_that_n_works(data, fault, calls):
    with serving(lambda call: fault) as server:
        probe(server.url, data)
        asked = len(server.calls)
        operator = {"name": "answer", "sampling_temperature": 1.0}
        folder = run(recipe(data, server.url, samples=3, operator=operator), data / "run")
        assert len(server.calls) - asked == calls
    assert len(rows_in(folder / "rows")) == 9
